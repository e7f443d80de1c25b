import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CertificateFile } from '../certs/make-certificates.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { type CertsOptions, certs } from './certs-command.ts'

let project: string
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'resile-certs-command-'))
})
afterEach(() => rm(project, { recursive: true }))

/** What the command prints. */
async function run(options: Partial<CertsOptions> = {}): Promise<string> {
  const print = vi.spyOn(console, 'log').mockImplementation(() => {})
  try {
    await certs({ project, host: [], client: [], days: '365', rotatePermitKey: false, json: false, ...options })
    return print.mock.calls.map(String).join('\n')
  } finally {
    print.mockRestore()
  }
}

const files = async (options: Partial<CertsOptions> = {}) =>
  (JSON.parse(await run({ json: true, ...options })) as { directory: string; files: CertificateFile[] }).files
const ids = async (options: Partial<CertsOptions> = {}) =>
  (await files(options)).flatMap(({ kind, uri }) => (kind === 'client' ? [uri] : []))
const rules = (uris: string) =>
  writeFile(
    join(project, 'coordinator.hcl'),
    `datacenter = "dc1"
    server_config {
      route_rule {
        name = "all"
        method = "*"
        route_patterns = ["/*"]
        uris = ${uris}
      }
    }\n`,
  )

it('resile certs: first run → says what it made for whom, and that it is for development', async () => {
  const printed = await run()
  expect(printed).toContain(`DEVELOPMENT certificates, not for production, in ${join(project, '.resile/certs')}`)
  expect(printed).toMatch(/^made +server\.pem +localhost 127\.0\.0\.1 ::1 +\d{4}-\d\d-\d\d/m)
  expect(printed).toMatch(/^made +clients\/operator\.pem +spiffe:\/\/example\.org\/operator +\d{4}-/m)
  expect(printed).not.toContain('kept')
})

it('resile certs: second run → keeps all, and says so', async () => {
  await run()
  const printed = await run()
  expect(printed).not.toContain('made  ')
  expect(printed).toContain('nothing was made')
  expect(await run({ rotatePermitKey: true })).toMatch(/^made +permit-keys\.json/m)
})

it('resile certs: --json → JSON', async () => {
  const out = join(project, 'elsewhere')
  const found = await files({ out, host: ['WEB.lan'], days: '2' })
  expect(found.find(({ kind }) => kind === 'server')).toEqual({
    path: join(out, 'server.pem'),
    kind: 'server',
    hosts: ['localhost', '127.0.0.1', '::1', 'web.lan'],
    not_after: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    made: true,
  })
  const { validToDate } = new X509Certificate(await readFile(join(out, 'server.pem')))
  expect(Math.abs(validToDate.getTime() - Date.now() - 2 * 86_400_000)).toBeLessThan(60_000)
})

describe('resile certs, clients', () => {
  it('no option → those named by the rules, and an operator', async () => {
    await rules('["webhook:ci", "spiffe://corp/*", "spiffe://corp/ci/deploy", "spiffe://corp/viewer"]')
    expect(await ids()).toEqual(['spiffe://corp/operator', 'spiffe://corp/ci/deploy', 'spiffe://corp/viewer'])
    expect(existsSync(join(project, '.resile/certs/clients/deploy.pem'))).toBe(true)
    expect(await ids({ trustDomain: 'other' })).toContain('spiffe://other/operator')
  })

  it('options → those named by the options', async () => {
    expect(await ids({ client: ['web-1', 'db=spiffe://corp/worker/db'] })).toEqual([
      'spiffe://example.org/web-1',
      'spiffe://corp/worker/db',
      'spiffe://example.org/operator',
    ])
  })
})

describe('resile certs, refused', () => {
  it.each<[string, Partial<CertsOptions>]>([
    ['--trust-domain', { trustDomain: 'Example.org' }],
    ['--trust-domain', { trustDomain: 'spiffe://example.org' }],
    ['--host', { host: ['localhost', 'https://web.lan'] }],
    ['--client', { client: ['../web'] }],
    ['--client', { client: ['web-key'] }],
    ['--client', { client: ['=spiffe://example.org/web'] }],
    ['--client', { client: ['web='] }],
    ['--client', { client: ['web=https://example.org/web'] }],
    ['--client', { client: ['web=spiffe://example.org/a/../b'] }],
    ['--client', { client: ['web=spiffe://example.org/*'] }],
    ['--client', { client: ['web', 'Web=spiffe://example.org/other'] }],
    ['--days', { days: '0' }],
    ['--days', { days: '3651' }],
    ['--days', { days: '1e2' }],
  ])('%s → %j, before anything is made', async (option, options) => {
    const error: unknown = await run(options).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CommandError)
    expect(error).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(option) })
    expect(existsSync(join(project, '.resile'))).toBe(false)
  })

  it('missing project → error', async () => {
    const error: unknown = await run({ project: join(project, 'none') }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('ENOENT') })
    expect(existsSync(join(project, 'none'))).toBe(false)
  })

  it('coordinator.hcl with errors → their places', async () => {
    await rules('["nobody"]')
    await expect(run()).rejects.toThrow(/coordinator\.hcl:7:\d+: server_config\.route_rule\[0\]\.uris/)
  })

  it('unusable files → error', async () => {
    await run()
    await rm(join(project, '.resile/certs/ca-key.pem'))
    await expect(run()).rejects.toThrow(CommandError)
    await writeFile(join(project, 'file'), '')
    await expect(run({ out: join(project, 'file/certs') })).rejects.toThrow(CommandError)
  })
})

it('help → listed', () => {
  const resile = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'certs', ...args], { encoding: 'utf8' })
  expect(resile('--help').stdout).toMatch(/DEVELOPMENT certificates.*not for production/)
  const bad = resile('--project', project, '--days', 'many')
  expect(bad).toMatchObject({ status: EXIT.usage, stderr: expect.stringContaining('--days') })
  const good = resile('--project', project, '--client', 'a', '--client', 'b', '--host', 'web.lan', '--json')
  expect(good).toMatchObject({ status: EXIT.ok, stderr: '' })
  expect(JSON.parse(good.stdout)).toMatchObject({ directory: join(project, '.resile/certs') })
  expect(existsSync(join(project, '.resile/certs/clients/b-key.pem'))).toBe(true)
})
