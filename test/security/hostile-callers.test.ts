/** What those try who want to be somebody else, or to be heard where they may not: on every listener, all in vain. */
import 'reflect-metadata'
import { statSync } from 'node:fs'
import { connect as connectPlain, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { connect } from 'node:tls'
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { issue } from '../../host-worker/certs/authority.ts'
import { keyPairOf, newKeyPem } from '../../host-worker/certs/key-file.ts'
import { type TestAuthority, type TestCertificate, testAuthority } from '../support/certificates.ts'
import { atEnd } from '../support/cleanup.ts'
import {
  type Client,
  type Coordinator,
  coordinatorHcl,
  type LogLine,
  serverFiles,
  startCoordinator,
  tlsOf,
} from '../support/coordinator.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { callSocket, type Decision, type List, problem } from '../support/http.ts'
import { exchange } from '../support/raw-http.ts'

const admin = 'spiffe://example.com/worker-admin'
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
const start = '/v1/workflows/nap/executions'

let authority: TestAuthority
let asAdmin: TestCertificate
let revoked: TestCertificate
let tls: Coordinator
let plain: Coordinator
let dev: Dev
/** What a front would hand on of the administrator. */
let forged: string
/** The administrator's certificate as RFC 9440 writes it, and in PEM for a header. */
let rfc9440: string
let inOneLine: string
beforeAll(async () => {
  authority = await testAuthority()
  asAdmin = await authority.issue({ uris: [admin] })
  revoked = await authority.issue({ uris: [admin] })
  const files = await serverFiles(authority, { crl: true })
  files.replace('crl', await authority.crlPem([revoked.serial]))
  const projectOf = (lines: string) =>
    writeProject({ 'coordinator.hcl': coordinatorHcl(`${lines}\n${rules}`), ...workflows })
  ;[tls, plain, dev] = await Promise.all([
    startCoordinator({ project: projectOf(files.hcl) }),
    startCoordinator({ project: projectOf('enable_tls = false') }),
    startDev({ project: projectOf('enable_tls = false'), temporal: 'own', flags: ['--no-workers'] }),
  ])
  rfc9440 = `:${asAdmin.certPem.replace(/-----[A-Z ]+-----|\s/g, '')}:`
  inOneLine = encodeURIComponent(asAdmin.certPem)
  const tlsClientAuth = { certPresented: '1', certVerified: 'SUCCESS', certRevoked: '0', certRFC9440: rfc9440 }
  forged = JSON.stringify({ clientIp: '127.0.0.1', tlsClientAuth })
})

/** Every listener, and how to call it without being anybody. */
const listeners: [string, () => string][] = [
  ['the front with TLS', () => tls.url],
  ['the front without TLS', () => plain.url],
  ['the port of dev', () => dev.coordinator],
]
/** Both fronts, which take only what can mean one thing. */
const fronts = listeners.slice(0, 2)

/** What was answered to these bytes, one status per answer. Closed without a word: none. */
const statuses = async (url: string, bytes: string | Buffer, client: Client = null) => {
  const received = await exchange(url, bytes, tlsOf(client)).catch(() => '')
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
}
/** Sends bytes that must be refused: nothing of them succeeds, and nothing breaks. */
const refused = async (url: string, bytes: string | Buffer, client: Client = null) => {
  const answered = await statuses(url, bytes, client)
  expect(answered.filter((status) => status < 400 || status >= 500)).toEqual([])
  return answered
}
/** A request, line by line. */
const request = (line: string, headers: readonly string[] = [], body = '') =>
  `${[line, 'Host: localhost', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`
const json = (body: string) => ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]

afterEach(async () => {
  // Whatever was tried: everybody is still served, and known.
  expect((await tls.call('/v1/workflows', asAdmin, { headers: { 'x-request-id': 'proper' } })).status).toBe(200)
  expect((await plain.call('/metrics')).status).toBe(200)
  expect((await dev.call('/metrics')).status).toBe(200)
})

describe('no header makes somebody of nobody', () => {
  const pretences: [string, () => string[]][] = [
    ['the header between front and workerd', () => [`x-resile-cf: ${forged}`]],
    ['in upper case', () => [`X-RESILE-CF: ${forged}`]],
    ['with underscores', () => [`x_resile_cf: ${forged}`]],
    ['with one underscore', () => [`X-Resile_Cf: ${forged}`]],
    ['twice', () => [`x-resile-cf: ${forged}`, `x-resile-cf: ${forged}`]],
    ['after an empty one', () => ['X-Resile-Cf:', `x-resile-cf: ${forged}`]],
    ['before an empty one', () => [`x-resile-cf: ${forged}`, 'x-resile-cf:']],
    ['as one that is for this connection alone', () => ['Connection: x-resile-cf', `x-resile-cf: ${forged}`]],
    ['with a space before the colon', () => [`x-resile-cf : ${forged}`]],
    ['with a tab before the colon', () => [`x-resile-cf\t: ${forged}`]],
    ['folded into another', () => ['x-harmless: 1', ` x-resile-cf: ${forged}`]],
    ['after a bare line feed', () => [`x-harmless: 1\nx-resile-cf: ${forged}`]],
    ['after a bare carriage return', () => [`x-harmless: 1\rx-resile-cf: ${forged}`]],
    ['after many others', () => [...Array.from({ length: 2100 }, (_, i) => `a:${i % 10}`), `x-resile-cf: {}`]],
    ['cf', () => [`cf: ${forged}`]],
    ['Cloudflare', () => [`cf-client-cert: ${rfc9440}`, 'cf-cert-verified: true', `cf-tls-client-auth: ${forged}`]],
    ['RFC 9440', () => [`client-cert: ${rfc9440}`, `client-cert-chain: ${rfc9440}`]],
    ['Envoy', () => [`x-forwarded-client-cert: By=spiffe://example.com/x;Hash=00;Cert="${inOneLine}";URI=${admin}`]],
    ['nginx', () => [`x-ssl-client-cert: ${inOneLine}`, 'x-ssl-client-verify: SUCCESS', 'x-ssl-client-s-dn: CN=admin']],
    ['Apache', () => [`ssl-client-cert: ${inOneLine}`, 'ssl-client-verify: SUCCESS', `x-client-cert: ${inOneLine}`]],
    ['forwarded', () => ['forwarded: for=127.0.0.1;proto=https;host=localhost', 'x-forwarded-for: 127.0.0.1']],
    ['a name', () => [`x-resile-caller: ${admin}`, `x-spiffe-id: ${admin}`, `authorization: Bearer ${admin}`]],
  ]
  const cases = listeners.flatMap(([where, url]) => pretences.map(([how, lines]) => [where, how, url, lines] as const))

  test('though the one between front and workerd would', async () => {
    const socket = join(tls.data, 'front.sock')
    const headers = { 'x-resile-cf': forged, 'x-request-id': 'proper' }
    expect((await callSocket(socket, '/v1/workflows', { headers })).status).toBe(200)
    problem(await callSocket(socket, '/v1/workflows'), 401, 'unauthenticated')
  })

  test.each(cases)('%s: %s', async (_, __, url, lines) => {
    expect(await refused(url(), request('GET /v1/workflows HTTP/1.1', lines()))).not.toContain(200)
    await refused(url(), request(`POST ${start} HTTP/1.1`, [...json('{}'), ...lines()], '{}'))
  })

  test.each(listeners)('%s: in the trailers of a body', async (_, url) => {
    const body = `2\r\n{}\r\n0\r\nx-resile-cf: ${forged}\r\n\r\n`
    const chunked = ['Content-Type: application/json', 'Transfer-Encoding: chunked', 'Trailer: x-resile-cf']
    expect(await refused(url(), request(`POST ${start} HTTP/1.1`, chunked, body))).not.toContain(200)
  })

  test('nor of somebody else who has a certificate', async () => {
    const other = await authority.issue({ uris: ['spiffe://example.com/other'] })
    for (const [, lines] of pretences) {
      const answered = await refused(tls.url, request('GET /v1/workflows HTTP/1.1', lines()), other)
      expect([[], [400], [403], [431]]).toContainEqual(answered)
    }
  })

  test('the sockets behind it are for their owner alone', () => {
    for (const socket of [tls, plain].flatMap(({ data, socket }) => [socket, join(data, 'front.sock')])) {
      expect(statSync(socket).mode & 0o777).toBe(0o600)
      expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700)
    }
    expect(statSync(dev.file.socket).mode & 0o777).toBe(0o600)
  })
})

describe('no certificate makes somebody of nobody', () => {
  const day = 86_400_000
  /** Signs for the administrator's name with a key of its own, and says whatever is to be said of the issuer. */
  const signedBy = async (issuer: { certPem: string; keyPem: string }, ...chain: string[]): Promise<Client> => {
    const keyPem = await newKeyPem()
    const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) }
    const certPem = await issue(
      { pem: issuer.certPem, keys: keysOf(issuer.keyPem) },
      {
        commonName: 'forged',
        publicKey: keysOf(keyPem).publicKey,
        names: [{ type: 'url', value: admin }],
        usage: 'client',
        validity,
      },
    )
    return { certPem: [certPem, ...chain].join('\n'), keyPem }
  }
  const selfSigned = async (): Promise<Client> => {
    const keyPem = await newKeyPem()
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: 'CN=Resile test CA',
      keys: keysOf(keyPem),
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + day),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: admin }])],
    })
    return { certPem: certificate.toString('pem'), keyPem }
  }

  test.each<[string, () => Client | Promise<Client>, RegExp]>([
    ['none', () => null, /no client certificate/],
    [
      'one that has expired',
      () => authority.issue({ uris: [admin], notAfter: new Date(Date.now() - 60_000) }),
      /expire/i,
    ],
    [
      'one that is not valid yet',
      () => authority.issue({ uris: [admin], notBefore: new Date(Date.now() + day) }),
      /not.*yet/i,
    ],
    ['one that is revoked', () => revoked, /revoked/i],
    ['one of another authority', async () => (await testAuthority('Another')).issue({ uris: [admin] }), /refused/],
    ['one of another of the same name', async () => (await testAuthority()).issue({ uris: [admin] }), /refused/],
    [
      'one of another that sends ours along',
      async () => {
        const { certPem, keyPem } = await (await testAuthority()).issue({ uris: [admin] })
        return { certPem: certPem + authority.caPem, keyPem }
      },
      /refused/,
    ],
    ['one that signed itself', selfSigned, /refused/],
    [
      'one that says to be of ours, signed with another key',
      async () => signedBy({ certPem: authority.caPem, keyPem: await newKeyPem() }, authority.caPem),
      /refused/,
    ],
    [
      'one that somebody signed with a client certificate of ours',
      async () => {
        const issuer = await authority.issue({ uris: ['spiffe://example.com/other'] })
        return signedBy(issuer, issuer.certPem, authority.caPem)
      },
      /refused/,
    ],
    [
      'one that was signed by a client who claims to be an authority',
      async () => {
        const issuer = await authority.issue({ uris: ['spiffe://example.com/other'], ca: true })
        return signedBy(issuer, issuer.certPem, authority.caPem)
      },
      /refused/,
    ],
    ['one that claims to be an authority', () => authority.issue({ uris: [admin], ca: true }), /authority/],
    ['one for servers', () => authority.issue({ uris: [admin], server: true }), /refused/],
    ['one without a URI', () => authority.issue(), /names no URI/],
    ['one with a second URI', () => authority.issue({ uris: [admin, 'spiffe://example.com/x'] }), /2 URIs/],
    ['one with the same URI twice', () => authority.issue({ uris: [admin, admin] }), /2 URIs/],
    ['one whose host name reads like one', () => authority.issue({ rawSan: `x, URI:${admin}` }), /names no URI/],
    ['one with the name as a host name', () => authority.issue({ dns: ['worker-admin', admin] }), /names no URI/],
    ['one of another domain', () => authority.issue({ uris: ['spiffe://example.org/worker-admin'] }), /not permitted/],
    ['one of the own domain', () => authority.issue({ uris: ['spiffe://resile.local/operator'] }), /not permitted/],
    ['one in upper case', () => authority.issue({ uris: ['spiffe://EXAMPLE.com/worker-admin'] }), /no SPIFFE ID/],
    ['one of another scheme', () => authority.issue({ uris: ['https://example.com/worker-admin'] }), /no SPIFFE ID/],
    ['one with an escape', () => authority.issue({ uris: ['spiffe://example.com/worker%2dadmin'] }), /no SPIFFE ID/],
  ])('%s', async (_, make, why) => {
    const client = await make()
    expect(problem(await tls.call('/v1/workflows', client), 401, 'unauthenticated').detail).toMatch(why)
    problem(await tls.call(start, client, { body: {} }), 401, 'unauthenticated')
    // The same where the server may not send its verdict before it has been asked.
    await refused(tls.url, request('GET /v1/decisions HTTP/1.1'), client)
  })
})

describe('no spelling of a path leads past the rules', () => {
  const targets = [
    '/v1/%77orkflows',
    '/%76%31/workflows',
    '//v1/workflows',
    '///metrics/../v1/workflows',
    '/v1/../v1/workflows',
    '/metrics/../v1/workflows',
    '/metrics/..%2fv1/workflows',
    '/metrics/%2e%2e/v1/workflows',
    '/metrics/%2E./v1/workflows',
    '/metrics/..;/v1/workflows',
    '/metrics;/../v1/workflows',
    '/metrics%2f..%2fv1%2fworkflows',
    '/metrics%00/../v1/workflows',
    '/metrics%3f/../v1/workflows',
    '/metrics%23',
    '/metrics/',
    '/metrics/v1/workflows',
    '/metrics%20',
    '/metrics%09',
    '/METRICS',
    '/./metrics/./../v1/workflows',
    '/v1/workflows%00',
    '/v1/workflows%00/metrics',
    '/v1/workflows?/metrics',
    '/v1/workflows#/metrics',
    '/v1\\workflows',
    '/\\localhost/metrics',
    '\\metrics',
    '/metrics\\..\\v1\\workflows',
    '/v1/workflows\t/metrics',
    '/v1/workflows /metrics',
    'metrics',
    '',
    '?',
    '*',
    'https://x/v1/workflows',
    'http://127.0.0.1/v1/workflows',
    'http://user@localhost/v1/workflows',
    'http:/v1/workflows',
    'localhost:443',
  ]
  const cases = listeners.flatMap(([where, url]) => targets.map((target) => [where, target, url] as const))

  test.each(cases)('%s: GET %s', async (_, target, url) => {
    expect(await refused(url(), request(`GET ${target} HTTP/1.1`))).not.toContain(200)
  })

  test.each(fronts)('%s takes a path alone for a target', async (_, url) => {
    for (const target of ['http://127.0.0.1/metrics', 'https://localhost/metrics', '//metrics', '/x/../metrics']) {
      expect(await refused(url(), request(`GET ${target} HTTP/1.1`))).toEqual([400])
    }
    expect(await refused(url(), request('OPTIONS * HTTP/1.1'))).toEqual([400])
    await refused(url(), request('CONNECT localhost:443 HTTP/1.1'))
    await refused(url(), request('CONNECT /metrics HTTP/1.1'))
  })

  test('a path in percent encoding is that path', async () => {
    const bytes = request('GET /v1/%77orkflows HTTP/1.1', ['X-Request-Id: proper'])
    expect(await statuses(tls.url, bytes, asAdmin)).toEqual([200])
  })
})

describe('a header that may be there once is refused twice', () => {
  test.each([
    ['Host', 'Host: localhost'],
    ['another Host', 'Host: elsewhere.example'],
    ['Content-Length', 'Content-Length: 2'],
    ['another Content-Length', 'Content-Length: 200'],
    ['Content-Type', 'Content-Type: application/json'],
    ['another Content-Type', 'content-type: text/plain'],
    ['Authorization', 'Authorization: a\r\nAuthorization: b'],
    ['Idempotency-Key', 'Idempotency-Key: a\r\nidempotency-key: a'],
    ['Origin', 'Origin: http://localhost\r\nOrigin: http://localhost'],
    ['Transfer-Encoding', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
    ['X-Request-Id', 'X-Request-Id: a\r\nX-Request-Id: b'],
  ])('%s', async (_, line) => {
    const bytes = request(`POST ${start} HTTP/1.1`, [...json('{}'), line], '{}')
    expect(await refused(tls.url, bytes, asAdmin)).toEqual([400])
    expect(await refused(plain.url, bytes)).toEqual([400])
  })
})

describe('nothing is smuggled', () => {
  /** Carries a name by which it would be found in the log. */
  const hidden = `GET /v1/workflows HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n\r\n`
  const post = (headers: readonly string[], body: string) =>
    `${['POST /v1/nope HTTP/1.1', 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n${body}`
  const inChunks = `5\r\nhello\r\n0\r\n\r\n`

  test.each<[string, string]>([
    ['CL.TE', post([`Content-Length: ${5 + hidden.length}`, 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['TE.CL', post(['Transfer-Encoding: chunked', 'Content-Length: 4'], `5c\r\n${hidden}\r\n0\r\n\r\n`)],
    ['an unknown encoding', post(['Transfer-Encoding: xchunked'], inChunks + hidden)],
    ['chunked and then another', post(['Transfer-Encoding: chunked, identity'], inChunks + hidden)],
    ['two encodings', post(['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], inChunks + hidden)],
    ['chunked twice', post(['Transfer-Encoding: chunked, chunked'], inChunks + hidden)],
    ['gzip and chunked', post(['Transfer-Encoding: gzip, chunked'], inChunks)],
    ['a space before the colon', post(['Transfer-Encoding : chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['a tab before the colon', post(['Transfer-Encoding\t: chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['an encoding that is folded', post(['Transfer-Encoding:\r\n chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['an encoding in quotes', post(['Transfer-Encoding: "chunked"'], inChunks + hidden)],
    ['a vertical tab', post(['Transfer-Encoding: \vchunked'], inChunks + hidden)],
    ['a bare line feed in the head', `POST /v1/nope HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello${hidden}`],
    ['a bare line feed in a chunk', post(['Transfer-Encoding: chunked'], `5\nhello\n0\n\n${hidden}`)],
    ['garbage after a chunk', post(['Transfer-Encoding: chunked'], `5\r\nhelloXX\r\n0\r\n\r\n${hidden}`)],
    ['a chunk of a negative size', post(['Transfer-Encoding: chunked'], `-5\r\nhello\r\n0\r\n\r\n${hidden}`)],
    ['a chunk of a hexadecimal size', post(['Transfer-Encoding: chunked'], `0x5\r\nhello\r\n0\r\n\r\n${hidden}`)],
    ['a chunk too large to count', post(['Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${hidden}`)],
    ['an extension with a line feed', post(['Transfer-Encoding: chunked'], `5;a\nhello\r\n0\r\n\r\n${hidden}`)],
    [
      'a long extension',
      post(['Transfer-Encoding: chunked'], `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n${hidden}`),
    ],
    ['a length with a sign', post(['Content-Length: +5'], `hello${hidden}`)],
    ['a negative length', post(['Content-Length: -1'], hidden)],
    ['two lengths in one', post(['Content-Length: 5, 5'], `hello${hidden}`)],
    ['a hexadecimal length', post(['Content-Length: 0x5'], `hello${hidden}`)],
    ['no length', post(['Content-Length:'], hidden)],
    ['a length with a space', post(['Content-Length: 1 0'], hidden)],
    ['a length too large to count', post(['Content-Length: 99999999999999999999999'], hidden)],
    ['a length that is too large', post(['Content-Length: 999999999', 'Connection: close'], hidden)],
    ['NUL in a header', post(['X-A: a\0b', 'Content-Length: 0'], '')],
    ['a carriage return in a header', post(['X-A: a\rX-B: b', 'Content-Length: 0'], '')],
    ['NUL in the name of a header', post(['X\0A: b', 'Content-Length: 0'], '')],
    ['a header without a name', post([': b', 'Content-Length: 0'], '')],
    ['a header without a colon', post(['nonsense', 'Content-Length: 0'], '')],
    ['a space before the first header', 'GET /v1/workflows HTTP/1.1\r\n Host: localhost\r\n\r\n'],
    ['HTTP/0.9', 'GET /v1/workflows\r\n\r\n'],
    ['HTTP/1.2', 'GET /v1/nope HTTP/1.2\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['HTTP/2.0', 'GET /v1/nope HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', 'GET /v1/nope HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['no Host, and HTTP/1.0', 'GET /v1/nope HTTP/1.0\r\n\r\n'],
    [
      'HTTP/1.0 in chunks',
      `POST /v1/nope HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${inChunks}`,
    ],
    ['a line of 20 KB', request(`GET /${'a'.repeat(20_000)} HTTP/1.1`)],
    ['a header of 20 KB', request('GET /v1/nope HTTP/1.1', [`X-A: ${'a'.repeat(20_000)}`])],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['a method in lower case', request('get /v1/nope HTTP/1.1')],
    ['a method with a control character', request('G\x01ET /v1/nope HTTP/1.1')],
  ])('%s', async (_, bytes) => {
    expect((await refused(tls.url, bytes, asAdmin)).length).toBeLessThanOrEqual(1)
    expect((await refused(plain.url, bytes)).length).toBeLessThanOrEqual(1)
  })

  test('a request in the body of another is a body', async () => {
    const bytes = request('POST /v1/nope HTTP/1.1', [`Content-Length: ${hidden.length}`], hidden)
    expect(await refused(tls.url, bytes, asAdmin)).toEqual([404])
    const size = hidden.length.toString(16)
    const chunked = request(
      'POST /v1/nope HTTP/1.1',
      ['Transfer-Encoding: chunked'],
      `${size}\r\n${hidden}\r\n0\r\n\r\n`,
    )
    expect(await refused(tls.url, chunked, asAdmin)).toEqual([404])
  })

  test('one that follows another is answered as who it is from', async () => {
    const first = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const next = request('GET /v1/workflows HTTP/1.1', ['X-Request-Id: next'])
    expect(await statuses(tls.url, first + next)).toEqual([200, 401])
  })

  test('a body that is too large is refused, whether its length is told or not', async () => {
    const body = 'x'.repeat(4 * 1024 * 1024)
    for (let round = 0; round < 10; round += 1) {
      problem(await tls.call(start, asAdmin, { body }), 413, 'too_large')
      problem(await tls.call(start, asAdmin, { body, headers: { 'transfer-encoding': 'chunked' } }), 413, 'too_large')
    }
  })

  test('nothing of it was heard', () => {
    expect(tls.log.filter((line) => line['request_id'] === 'smuggled')).toEqual([])
    expect(plain.log.filter((line) => line['request_id'] === 'smuggled')).toEqual([])
  })
})

describe('methods', () => {
  const overrides = ['X-HTTP-Method-Override: GET', 'X-HTTP-Method: GET', 'X-Method-Override: GET']

  test.each(listeners)('%s: HEAD is GET, and nothing else is', async (_, url) => {
    expect(await statuses(url(), request('HEAD /metrics HTTP/1.1'))).toEqual([200])
    expect(await statuses(url(), request('get /metrics HTTP/1.1'))).not.toContain(200)
    await refused(url(), request('HEAD /v1/workflows HTTP/1.1'))
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      await refused(url(), request(`${method} /metrics HTTP/1.1`, [...overrides, 'Content-Length: 0']))
    }
    await refused(url(), request('GET /v1/workflows?_method=HEAD HTTP/1.1', overrides))
  })

  test.each(['TRACE', 'QUERY', 'PROPFIND', 'M-SEARCH', 'PURGE', 'SOURCE', 'BREW'])('%s is none', async (method) => {
    const bytes = request(`${method} /metrics HTTP/1.1`)
    expect(await refused(tls.url, bytes)).toEqual([400])
    expect(await refused(tls.url, bytes, asAdmin)).toEqual([400])
    expect(await refused(plain.url, bytes)).toEqual([400])
  })
})

describe('pages of others', () => {
  const get = (url: string, headers: readonly string[]) =>
    statuses(url, `${['GET /metrics HTTP/1.1', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`)
  const foreign = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:8787',
    'localhost@evil.example',
    'localhost/x',
    'localhost:1:1',
    '127.1',
    '2130706433',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '',
  ]

  test.each(listeners)('%s is called by its own names alone', async (_, url) => {
    for (const host of foreign) {
      const answered = await get(url(), [`Host: ${host}`])
      expect({ host, answered }).toEqual({
        host,
        answered: [expect.toSatisfy((status: number) => [400, 403].includes(status))],
      })
    }
    for (const host of ['localhost', 'LocalHost', 'localhost:1', '127.0.0.1', '127.0.0.1:8787', '[::1]', '[::1]:1']) {
      expect({ host, answered: await get(url(), [`Host: ${host}`]) }).toEqual({ host, answered: [200] })
    }
  })

  test.each(listeners)('%s is not for pages of other sites', async (_, url) => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1', 'https://localhost.evil.example']) {
      const answered = await get(url(), ['Host: localhost', `Origin: ${origin}`])
      expect({ origin, answered }).toEqual({ origin, answered: [403] })
    }
    expect(await get(url(), ['Host: localhost', 'Origin: http://localhost'])).toEqual([200])
  })
})

describe('who does not speak', () => {
  /** Resolves when the other end has closed. */
  const closed = (socket: Socket) => {
    atEnd(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.resume()
    return new Promise<void>((resolve) => socket.once('close', () => resolve()))
  }

  test('as agreed is not answered: no TLS, or another protocol', async () => {
    const inPlain = tls.url.replace('https:', 'http:')
    expect(await refused(inPlain, request('GET /metrics HTTP/1.1'))).toEqual([])
    const socket = connect({ host: '127.0.0.1', port: tls.port, ...tlsOf(asAdmin), ALPNProtocols: ['h2'] })
    const over = closed(socket)
    await over
    expect(socket.alpnProtocol ?? false).toBe(false)
  })

  test('in time is not waited for', async () => {
    const to = { host: '127.0.0.1', port: tls.port, ...tlsOf(asAdmin) }
    const slow = (socket: Socket) => {
      const drip = setInterval(() => socket.write('X-A: b\r\n'), 500)
      atEnd(() => clearInterval(drip))
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n')
      socket.once('close', () => clearInterval(drip))
    }
    const slowTls = connect(to, () => slow(slowTls))
    const slowPlain = connectPlain(plain.port, '127.0.0.1', () => slow(slowPlain))
    const ends = Promise.all([
      closed(connectPlain(tls.port, '127.0.0.1')),
      closed(connectPlain(plain.port, '127.0.0.1')),
      closed(connect(to)),
      closed(slowTls),
      closed(slowPlain),
    ])
    const late = new Promise<'too late'>((resolve) => setTimeout(resolve, 40_000, 'too late').unref())
    expect(await Promise.race([ends, late])).not.toBe('too late')
  })
})

describe('after all of it', () => {
  test('nobody was taken for the administrator', () => {
    const known = (lines: readonly LogLine[]) =>
      lines.filter(({ event, caller }) => event === 'request' && caller === admin)
    const unexpected = known([...tls.log, ...plain.log]).filter((line) => {
      // What came with the administrator's own certificate was refused for what it was.
      return line['request_id'] !== 'proper' && Number(line['status']) < 400
    })
    expect(unexpected).toEqual([])
    expect(known(plain.log)).toEqual([])
  })

  test('nothing failed within', () => {
    const failed = [...tls.log, ...plain.log].filter(({ event, level, status, caller }) => {
      // The operator's own look at whether it is ready, which it is not without Temporal.
      if (caller === 'spiffe://resile.local/operator') return false
      return level === 'error' || event === 'request_failed' || Number(status ?? 0) >= 500
    })
    expect(failed).toEqual([])
  })

  test('nothing was decided or started', async () => {
    for (const coordinator of [tls, plain, dev]) {
      const { status, body } = await coordinator.callSocket<List<Decision>>('/v1/decisions')
      expect({ status, items: body.items }).toEqual({ status: 200, items: [] })
    }
  })
})

function keysOf(pem: string) {
  const keys = keyPairOf(pem)
  if (keys === null) throw new Error('not a key')
  return keys
}
