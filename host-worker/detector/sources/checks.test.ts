import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { detectorsSchema } from '../../../shared/config.ts'
import { createSource } from './create-source.ts'
import type { Source } from './source.ts'

function source(block: Record<string, unknown>, directory = '/'): Source {
  const { detector } = detectorsSchema.parse({ detector: { d: { workflow: 'w', interval: '1s', ...block } } })
  if (detector.d === undefined) throw new Error('there is one')
  return createSource(detector.d, directory, null)
}

describe('http_check', () => {
  it('failure → fires; success → does not', async () => {
    let status = 200
    const server = createServer((_, response) => response.writeHead(status).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    expect(await source({ http_check: { url } }).observe(0)).toEqual({ firing: [] })
    status = 503
    expect(await source({ http_check: { url } }).observe(0)).toMatchObject({ firing: [{ value: '503', labels: {} }] })
    expect(await source({ http_check: { url, expect_status: 503 } }).observe(0)).toEqual({ firing: [] })
    expect(await source({ http_check: { url: 'http://127.0.0.1:1/' } }).observe(0)).toMatchObject({
      firing: [{ value: '0' }],
    })
  })
})

describe('tcp_check', () => {
  it('no connection accepted → fires', async () => {
    const server = createTcpServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await source({ tcp_check: { address } }).observe(0)).toEqual({ firing: [] })
    await new Promise<void>((resolve) => server.close(() => resolve()))
    expect(await source({ tcp_check: { address } }).observe(0)).toMatchObject({
      firing: [{ value: 'ECONNREFUSED', summary: expect.stringContaining(address) }],
    })
  })

  it('name not resolved → neither fires nor clears', async () => {
    expect(await source({ tcp_check: { address: 'no-such-host.invalid:1' } }).observe(0)).toEqual({
      unknown: expect.stringMatching(/could not be checked: .*(ENOTFOUND|EAI_AGAIN)/),
    })
  })

  it('IPv6 address → read', async () => {
    expect(await source({ tcp_check: { address: '[::1]:1' } }).observe(0)).toMatchObject({ firing: [{}] })
  })
})

describe('command_check', () => {
  const poll = (script: string, more = {}) =>
    source({ command_check: { argv: ['/bin/sh', '-c', script], ...more } }).observe(0)

  it('exit code not 0 → fires with the first line', async () => {
    expect(await poll('exit 0')).toEqual({ firing: [] })
    expect(await poll('echo; echo "DISK CRITICAL - 3% free"; echo more; exit 2')).toMatchObject({
      firing: [{ value: '2', summary: '/bin/sh exits with 2: DISK CRITICAL - 3% free' }],
    })
    expect(await poll('echo broken >&2; exit 1')).toMatchObject({
      firing: [{ summary: expect.stringContaining('broken') }],
    })
  })

  it.each([
    ['a plugin that says it can not tell', 'echo UNKNOWN; exit 3', 'exits with 3: UNKNOWN'],
    ['a program that is not there', 'exec /no/such/program', 'exits with 127'],
    ['a program that was killed', 'kill -9 $$', 'exits with 137'],
  ])('%s → unknown', async (_, script, reason) => {
    expect(await poll(script)).toEqual({ unknown: expect.stringContaining(reason) })
  })

  it('timeout → unknown', async () => {
    expect(await poll('sleep 60', { timeout: '200ms' })).toEqual({
      unknown: expect.stringContaining('longer than 200 ms'),
    })
  })

  it('not startable → unknown', async () => {
    expect(await source({ command_check: { argv: ['/no/such/program'] } }).observe(0)).toEqual({
      unknown: expect.stringContaining('exits with 127'),
    })
  })

  it('environment → project directory, PATH and HOME only', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'resile-check-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    await writeFile(join(directory, 'marker'), '')
    process.env['RESILE_TEST_LEAK'] = '1'
    const script = 'test -e marker && test -z "$RESILE_TEST_LEAK" && test -n "$PATH"'
    expect(await source({ command_check: { argv: ['/bin/sh', '-c', script] } }, directory).observe(0)).toEqual({
      firing: [],
    })
  })
})
