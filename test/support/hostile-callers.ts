/** What hostile callers are let loose on: every listener that Resile has, with an administrator whom they want to be. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type TestAuthority, type TestCertificate, testAuthority } from './certificates.ts'
import {
  type Client,
  type Coordinator,
  coordinatorHcl,
  type LogLine,
  serverFiles,
  startCoordinator,
  tlsOf,
} from './coordinator.ts'
import { type Dev, startDev } from './dev.ts'
import { napping, writeProject } from './files.ts'
import type { Decision, List } from './http.ts'
import { exchange } from './raw-http.ts'

export const admin = 'spiffe://example.com/worker-admin'
/** Whatever is not metrics takes the administrator. */
const rules = `
  route_rule {
    name = "admin"
    method = "*"
    route_patterns = ["/*"]
    uris = ["${admin}"]
  }
  route_rule {
    name = "metrics"
    method = "GET"
    route_patterns = ["/metrics"]
    allow_public = true
  }`
const workflows = napping('nap', 'task_queue_target = "datacenter"')
export const start = '/v1/workflows/nap/executions'

/** The listeners that run, and who calls them. */
export interface Callers {
  authority: TestAuthority
  asAdmin: TestCertificate
  revoked: TestCertificate
  /** A front with TLS. */
  tls: Coordinator
  /** A front without. */
  plain: Coordinator
  dev: Dev
}

/** Starts them before the tests of a file; after each, everybody must still be served. */
export function startListeners(): Callers {
  const callers = {} as Callers
  beforeAll(async () => {
    const authority = await testAuthority()
    const asAdmin = await authority.issue({ uris: [admin] })
    const revoked = await authority.issue({ uris: [admin] })
    const files = await serverFiles(authority, { crl: true })
    files.replace('crl', await authority.crlPem([revoked.serial]))
    const projectOf = (lines: string) =>
      writeProject({ 'coordinator.hcl': coordinatorHcl(`${lines}\n${rules}`), ...workflows })
    const [tls, plain, dev] = await Promise.all([
      startCoordinator({ project: projectOf(files.hcl) }),
      startCoordinator({ project: projectOf('enable_tls = false') }),
      startDev({ project: projectOf('enable_tls = false'), temporal: 'own', flags: ['--no-workers'] }),
    ])
    Object.assign(callers, { authority, asAdmin, revoked, tls, plain, dev })
  })
  afterEach(async () => {
    const { tls, plain, dev, asAdmin } = callers
    // Whatever was tried: everybody is still served, and known.
    expect((await tls.call('/v1/workflows', asAdmin, { headers: { 'x-request-id': 'proper' } })).status).toBe(200)
    expect((await plain.call('/metrics')).status).toBe(200)
    expect((await dev.call('/metrics')).status).toBe(200)
  })
  return callers
}

/** Every listener, and how to call it without being anybody. */
export function listenersOf(callers: Callers): [string, () => string][] {
  return [
    ['the front with TLS', () => callers.tls.url],
    ['the front without TLS', () => callers.plain.url],
    ['the port of dev', () => callers.dev.coordinator],
  ]
}

/** What was answered to these bytes, one status per answer. None if the connection was closed without one. */
export const statuses = async (url: string, bytes: string | Buffer, client: Client = null) => {
  const received = await exchange(url, bytes, tlsOf(client)).catch(() => '')
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
}
/** Sends bytes that must be refused: nothing of them succeeds, and nothing breaks. */
export const refused = async (url: string, bytes: string | Buffer, client: Client = null) => {
  const answered = await statuses(url, bytes, client)
  expect(answered.filter((status) => status < 400 || status >= 500)).toEqual([])
  return answered
}
/** A request, line by line. */
export const request = (line: string, headers: readonly string[] = [], body = '') =>
  `${[line, 'Host: localhost', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`
export const json = (body: string) => ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]

/** Tests, to come last, that none of the attempts had an effect. */
export function allWasInVain(callers: Callers): void {
  describe('after all of it', () => {
    test('nobody was taken for the administrator', () => {
      const known = (lines: readonly LogLine[]) =>
        lines.filter(({ event, caller }) => event === 'request' && caller === admin)
      const unexpected = known([...callers.tls.log, ...callers.plain.log]).filter((line) => {
        // What came with the administrator's own certificate was refused for what it was.
        return line['request_id'] !== 'proper' && Number(line['status']) < 400
      })
      expect(unexpected).toEqual([])
      expect(known(callers.plain.log)).toEqual([])
    })

    test('nothing failed within', () => {
      const failed = [...callers.tls.log, ...callers.plain.log].filter(({ event, level, status, caller }) => {
        // The operator's own look at whether it is ready, which it is not without Temporal.
        if (caller === 'spiffe://resile.local/operator') return false
        return level === 'error' || event === 'request_failed' || Number(status ?? 0) >= 500
      })
      expect(failed).toEqual([])
    })

    test('nothing was decided or started', async () => {
      for (const coordinator of [callers.tls, callers.plain, callers.dev]) {
        const { status, body } = await coordinator.callSocket<List<Decision>>('/v1/decisions')
        expect({ status, items: body.items }).toEqual({ status: 200, items: [] })
      }
    })
  })
}
