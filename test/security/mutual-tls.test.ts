/** A real `resile coordinator` with certificates: who passes, and what it does as they change. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Agent } from 'node:https'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { type TestAuthority, testAuthority } from '../support/certificates.ts'
import { atEnd } from '../support/cleanup.ts'
import {
  type Client,
  type Coordinator,
  connected,
  coordinatorHcl,
  keepAlive,
  type ServerFiles,
  serverCertificate,
  serverFiles,
  startCoordinator,
  tlsOf,
} from '../support/coordinator.ts'
import { napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { type List, problem } from '../support/http.ts'
import { resile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const admin = 'spiffe://example.com/worker-admin'
/** An administrator reads, everyone may trigger, and metrics are public and not worth a line in the log. */
const accessList = `
  route_rule {
    name = "global_get"
    method = "GET"
    route_patterns = ["/*"]
    uris = ["${admin}"]
  }
  route_rule {
    name = "global_post"
    method = "POST"
    route_patterns = ["/*"]
    uris = ["${admin}"]
    allow_public = true
  }
  route_rule {
    name = "public_access"
    method = "GET"
    route_patterns = ["/metrics"]
    uris = []
    allow_public = true
    skip_log_match = true
  }`
const workflows = napping('nap', 'task_queue_target = "datacenter"')
const projectOf = (serverConfig: string) =>
  writeProject({ 'coordinator.hcl': coordinatorHcl(serverConfig), ...workflows })
const beat = { method: 'PUT', body: { datacenter: 'dc1' } }

let authority: TestAuthority
let asAdmin: Client
/** A client of the authority with this name, and nothing else. */
const named = (uri: string) => authority.issue({ uris: [uri] })
beforeAll(async () => {
  authority = await testAuthority()
  asAdmin = await named(admin)
})

describe('access list with certificates', () => {
  let coordinator: Coordinator
  beforeAll(async () => {
    const { hcl } = await serverFiles(authority)
    coordinator = await startCoordinator({
      project: projectOf(`${hcl}
  worker_id = "spiffe://example.com/worker/{node}"
  route_rule {
    name = "team_nodes"
    method = "GET"
    route_patterns = ["/v1/nodes"]
    uris = ["spiffe://example.com/team/*"]
  }
  ${accessList}`),
    })
  })

  test.each(['/v1/workflows', '/v1/executions', '/v1/decisions', '/v1/nodes', '/healthz', '/openapi.json', '/nope'])(
    'GET %s without a certificate → 401',
    async (path) => {
      problem(await coordinator.call(path), 401, 'unauthenticated')
    },
  )

  test('anonymous POST to a public route → allowed', async () => {
    for (const path of ['/v1/workflows/nap/executions', '/v1/workflows/nap/evaluate', '/v1/nope']) {
      expect([401, 403]).not.toContain((await coordinator.call(path, null, { body: {} })).status)
    }
  })

  test('administrator reads; anonymous reads metrics → allowed', async () => {
    expect((await coordinator.call<List<unknown>>('/v1/workflows', asAdmin)).body.items).toHaveLength(1)
    expect((await coordinator.call('/v1/workflows', asAdmin, { method: 'HEAD' })).status).toBe(200)
    expect((await coordinator.call('/metrics')).text).toMatch(/^# HELP /m)
    expect((await coordinator.call('/metrics', asAdmin)).status).toBe(200)
  })

  test.each([
    'spiffe://example.com/worker',
    'spiffe://example.com/worker-admin2',
    'spiffe://example.com/worker-admin/x',
    'spiffe://example.com/Worker-Admin',
    'spiffe://example.com',
  ])('%s, known without a rule → 403', async (uri) => {
    problem(await coordinator.call('/v1/workflows', await named(uri)), 403, 'forbidden')
    expect((await coordinator.call('/metrics', await named(uri))).status).toBe(200)
  })

  test.each([
    ['spiffe://example.com/team/a', 200],
    ['spiffe://example.com/team/a/b', 200],
    ['spiffe://example.com/team', 403],
    ['spiffe://example.com/teams/a', 403],
  ])('rule with a name ending in /*, caller %s → %i', async (uri, status) => {
    expect((await coordinator.call('/v1/nodes', await named(uri))).status).toBe(status)
    problem(await coordinator.call('/v1/workflows', await named(uri)), 403, 'forbidden')
  })

  test("worker's heartbeat for its own node, for another → allowed, refused", async () => {
    const web1 = await named('spiffe://example.com/worker/web-1')
    expect((await coordinator.call('/v1/nodes/web-1', web1, beat)).status).toBe(204)
    problem(await coordinator.call('/v1/nodes/web-2', web1, beat), 403, 'forbidden')
    problem(await coordinator.call('/v1/nodes/web-1', null, beat), 401, 'unauthenticated')
    problem(await coordinator.call('/v1/nodes/web-1', web1), 403, 'forbidden')
    const { body } = await coordinator.call<List<{ node: string }>>('/v1/nodes', asAdmin)
    expect(body.items).toMatchObject([{ node: 'web-1' }])
  })

  test('access log → caller and rule, no secrets', async () => {
    const secret = 'S3cret-of-a-test'
    const sent = {
      body: { reason: secret, nonsense: secret },
      headers: { authorization: `Bearer ${secret}`, cookie: `a=${secret}`, 'idempotency-key': secret },
    }
    const ask = async (id: string, path: string, client: Client, more: typeof sent | { method?: string } = {}) => {
      const headers = { ...('headers' in more ? more.headers : {}), 'x-request-id': id }
      await coordinator.call(path, client, { ...more, headers })
    }
    await ask('log-metrics', '/metrics', null)
    await ask('log-metrics-admin', '/metrics', asAdmin)
    await ask('log-read', '/v1/workflows', asAdmin)
    await ask('log-refused', '/v1/workflows', null)
    await ask('log-forbidden', '/v1/workflows', await named('spiffe://example.com/other'))
    await ask('log-trigger', `/v1/workflows/nap/executions?token=${secret}`, null, sent)
    await ask('log-own-node', '/v1/nodes/web-1', await named('spiffe://example.com/worker/web-1'), { method: 'PUT' })
    expect(await coordinator.logged('log-read')).toMatchObject({
      method: 'GET',
      path: '/v1/workflows',
      status: 200,
      caller: admin,
      allowed: 'rule global_get',
    })
    expect(await coordinator.logged('log-refused')).toMatchObject({ status: 401, caller: 'anonymous', allowed: null })
    expect(await coordinator.logged('log-forbidden')).toMatchObject({
      status: 403,
      caller: 'spiffe://example.com/other',
      allowed: null,
    })
    expect(await coordinator.logged('log-trigger')).toMatchObject({ caller: 'anonymous', allowed: 'rule global_post' })
    expect(await coordinator.logged('log-own-node')).toMatchObject({ allowed: 'worker_id' })
    const log = JSON.stringify(coordinator.log)
    expect(log).not.toContain('log-metrics')
    expect(log).not.toContain(secret)
    expect(log).not.toContain('PRIVATE KEY')
  })

  test.each<[string, ConnectionOptions['minVersion'] & string, boolean]>([
    ['1.1', 'TLSv1.1', false],
    ['1.2', 'TLSv1.2', true],
    ['1.3', 'TLSv1.3', true],
  ])('TLS %s → accepted from 1.2 on', async (_, version, isTaken) => {
    const { port } = coordinator
    // Without this OpenSSL would not even offer the old ones.
    const ciphers = 'DEFAULT@SECLEVEL=0'
    const to = { ...tlsOf(asAdmin), host: '127.0.0.1', port, ciphers, minVersion: version, maxVersion: version }
    const outcome = await new Promise<unknown>((resolve) => {
      const socket = connect(to, () => resolve(socket.getProtocol()))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      atEnd(() => socket.destroy())
    })
    expect(outcome).toBe(isTaken ? version : 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  })

  test('renegotiation on an open connection → refused', async () => {
    const socket = await connected(coordinator, { ...tlsOf(asAdmin), maxVersion: 'TLSv1.2' })
    const outcome = new Promise<string>((resolve) => {
      socket.once('error', () => resolve('refused'))
      socket.once('close', () => resolve('refused'))
      socket.renegotiate({}, (error) => resolve(error === null ? 'renegotiated' : 'refused'))
    })
    expect(await outcome).toBe('refused')
  })

  test('session resumption → refused, the certificate is verified again', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await connected(coordinator, { ...tlsOf(asAdmin), maxVersion })
      const given = new Promise<Buffer | undefined>((resolve) => {
        first.once('session', resolve)
        first.once('close', () => resolve(first.getSession()))
      })
      first.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      first.resume()
      const session = await given
      const second = await connected(coordinator, { ...tlsOf(asAdmin), maxVersion, ...(session ? { session } : {}) })
      expect(second.isSessionReused()).toBe(false)
    }
  })
})

describe('certificates changed while it runs', () => {
  let files: ServerFiles
  let coordinator: Coordinator
  let clerk: Awaited<ReturnType<typeof named>>
  let open: Agent
  /** On the same connection every time. */
  const clerkAsks = async () => (await coordinator.call('/v1/workflows', clerk, {}, open)).status
  const events = (event: string) => coordinator.log.filter((line) => line.event === event).length
  /** What an agent has open; just after an answer it may still be in use. */
  const connectionsOf = ({ sockets, freeSockets }: Agent) =>
    [sockets, freeSockets].flatMap((of) => Object.values(of).flat())
  /** The fingerprint of what the server shows to who comes now. */
  const shown = async () => {
    const socket = await connected(coordinator, tlsOf(null))
    const certificate = socket.getPeerX509Certificate()
    socket.destroy()
    return certificate?.fingerprint256
  }
  beforeAll(async () => {
    files = await serverFiles(authority, { crl: true })
    clerk = await named('spiffe://example.com/clerk')
    open = keepAlive()
    coordinator = await startCoordinator({
      project: projectOf(`${files.hcl}
  route_rule {
    name = "all"
    method = "*"
    route_patterns = ["/*"]
    uris = ["${admin}", "spiffe://example.com/clerk"]
  }`),
    })
    expect(await clerkAsks()).toBe(200)
  })

  test('new server certificate → shown to the next connection', async () => {
    const { certPem, keyPem } = await serverCertificate(authority)
    files.replace('key', keyPem)
    files.replace('cert', certPem)
    const { fingerprint256 } = new X509Certificate(certPem)
    await until('the new certificate is shown', async () => (await shown()) === fingerprint256)
    expect(await clerkAsks()).toBe(200)
  })

  test.each<[string, 'cert' | 'key' | 'ca' | 'crl', () => Promise<string>]>([
    ['a certificate that is cut off', 'cert', async () => readFileSync(files.cert, 'utf8').slice(0, 300)],
    ['an empty list of authorities', 'ca', async () => ''],
    ['a list of what is revoked that is none', 'crl', async () => 'nothing\n'],
  ])('%s → not used, logged', async (_, file, broken) => {
    const before = await shown()
    const said = events('certificates_not_reloaded')
    const good = readFileSync(files[file], 'utf8')
    files.replace(file, await broken())
    await until('it is said', () => events('certificates_not_reloaded') > said)
    expect(await shown()).toBe(before)
    expect((await coordinator.call('/v1/workflows', asAdmin)).status).toBe(200)
    problem(await coordinator.call('/v1/workflows'), 401, 'unauthenticated')
    files.replace(file, good)
  })

  test('client revoked → refused on its open connection', async () => {
    const [socket] = connectionsOf(open)
    files.replace('crl', await authority.crlPem([clerk.serial]))
    await until('the clerk is refused', async () => (await clerkAsks()) === 401)
    expect(connectionsOf(open)[0]).toBe(socket)
    const answer = await coordinator.call<{ detail: string }>('/v1/workflows', clerk)
    expect(problem(answer, 401, 'unauthenticated').detail).toMatch(/revoked/i)
    expect((await coordinator.call('/v1/workflows', asAdmin)).status).toBe(200)
  })

  test('authority removed → its clients refused on open connections', async () => {
    const kept = keepAlive()
    const old = async () => (await coordinator.call('/v1/workflows', asAdmin, {}, kept)).status
    expect(await old()).toBe(200)
    const [socket] = connectionsOf(kept)
    const next = await testAuthority()
    const both = (await authority.crlPem([])) + (await next.crlPem([]))
    const newcomer = await next.issue({ uris: [admin] })
    problem(await coordinator.call('/v1/workflows', newcomer), 401, 'unauthenticated')
    // As authorities are changed: first both, then the new one alone.
    files.replace('crl', both)
    files.replace('ca', authority.caPem + next.caPem)
    const both200 = async () => (await coordinator.call('/v1/workflows', newcomer)).status === 200
    await until('the new authority counts', both200)
    expect(await old()).toBe(200)
    files.replace('ca', next.caPem)
    await until('the old authority no longer counts', async () => (await old()) === 401)
    expect(connectionsOf(kept)[0]).toBe(socket)
    problem(await coordinator.call('/v1/workflows', asAdmin), 401, 'unauthenticated')
    expect(await both200()).toBe(true)
  })
})

test('coordinator: certificates of `resile certs`, no configuration → callers known', async () => {
  const project = projectOf(`enable_tls = true\n${accessList}`)
  const data = join(temporaryDirectory(), 'data')
  const out = join(data, 'certs')
  expect((await resile(['certs', '--project', project, '--out', out])).code).toBe(0)
  const coordinator = await startCoordinator({ project, data })
  const at = (file: string) => readFileSync(join(out, 'clients', file), 'utf8')
  const client = { certPem: at('worker-admin.pem'), keyPem: at('worker-admin-key.pem') }
  expect((await coordinator.call('/v1/workflows', client)).status).toBe(200)
  problem(await coordinator.call('/v1/workflows'), 401, 'unauthenticated')
  // The server's own certificate is one that clients can verify.
  const ca = readFileSync(join(out, 'ca.pem'))
  const socket = await connected(coordinator, { ca, servername: 'localhost', rejectUnauthorized: true })
  expect(socket.authorized).toBe(true)
  await coordinator.stop()
})

test('coordinator: no TLS → everybody anonymous', async () => {
  const coordinator = await startCoordinator({ project: projectOf(`enable_tls = false\n${accessList}`) })
  expect(coordinator.url).toMatch(/^http:/)
  problem(await coordinator.call('/v1/workflows', asAdmin), 401, 'unauthenticated')
  expect((await coordinator.call('/metrics', asAdmin)).status).toBe(200)
  expect((await coordinator.callSocket('/v1/workflows')).status).toBe(200)
  await coordinator.stop()
})
