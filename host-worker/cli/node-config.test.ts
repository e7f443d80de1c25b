import { afterEach, describe, expect, it, vi } from 'vitest'
import { workerSchema } from '../../shared/config.ts'
import { nodeConfig, nodeCoordinator } from './node-config.ts'

const worker = workerSchema.parse({
  node: 'web-1',
  datacenter: 'dc1',
  coordinator: {
    url: 'https://coordinator.example.org',
    ca_file: 'tls/ca.pem',
    cert_file: 'c.pem',
    key_file: '/k.pem',
  },
  permits: { jwks_files: ['keys/other.json'] },
  load_balancer: { api: { min_servers: 1, http: { url: 'https://lb.example.org/', token_file: 'token' } } },
})
const options = { project: '/etc/resile' }
const configured = nodeConfig(options, { worker, commands: {} })
const filesOf = (more: object = {}, config: Parameters<typeof nodeCoordinator>[2] = configured): unknown => {
  const address = nodeCoordinator('https://coordinator.example.org', { ...options, ...more }, config)
  return 'url' in address ? address.tls : null
}

afterEach(() => vi.unstubAllEnvs())

describe('files that worker.hcl names', () => {
  it('relative → to the file', () => {
    expect(configured.permits.jwks_files).toEqual(['/etc/resile/keys/other.json'])
    expect(configured.load_balancer['api']?.http?.token_file).toBe('/etc/resile/token')
    const files = { ca_file: '/etc/resile/tls/ca.pem', cert_file: '/etc/resile/c.pem', key_file: '/k.pem' }
    expect(filesOf()).toEqual(files)
  })

  it('the environment names others → those of worker.hcl', () => {
    vi.stubEnv('RESILE_CA', '/env/ca.pem')
    vi.stubEnv('RESILE_CERT', '/env/c.pem')
    vi.stubEnv('RESILE_KEY', '/env/k.pem')
    expect(filesOf()).toMatchObject({ ca_file: '/etc/resile/tls/ca.pem', cert_file: '/etc/resile/c.pem' })
    expect(filesOf({}, {})).toMatchObject({ ca_file: '/env/ca.pem', cert_file: '/env/c.pem', key_file: '/env/k.pem' })
  })

  it('the command line names others → those of the command line', () => {
    const given = { ca: 'ca.pem', cert: 'a.pem', key: 'b.pem' }
    expect(filesOf(given)).toMatchObject({ ca_file: 'ca.pem', cert_file: 'a.pem', key_file: 'b.pem' })
  })
})
