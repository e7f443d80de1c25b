/** Callers that try to pass for another one by headers and certificates, on every listener. */
import 'reflect-metadata'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import { beforeAll, describe, expect, test } from 'vitest'
import { issue } from '../../host-worker/certs/authority.ts'
import { keyPairOf, newKeyPem } from '../../host-worker/certs/key-file.ts'
import { testAuthority } from '../support/certificates.ts'
import type { Client } from '../support/coordinator.ts'
import {
  admin,
  allWasInVain,
  json,
  listenersOf,
  refused,
  request,
  start,
  startListeners,
} from '../support/hostile-callers.ts'
import { callSocket, problem } from '../support/http.ts'

const callers = startListeners()
const listeners = listenersOf(callers)

/** What a front would hand on of the administrator. */
let forged: string
/** The administrator's certificate as RFC 9440 writes it, and in PEM for a header. */
let rfc9440: string
let inOneLine: string
beforeAll(() => {
  const { certPem } = callers.asAdmin
  rfc9440 = `:${certPem.replace(/-----[A-Z ]+-----|\s/g, '')}:`
  inOneLine = encodeURIComponent(certPem)
  const tlsClientAuth = { certPresented: '1', certVerified: 'SUCCESS', certRevoked: '0', certRFC9440: rfc9440 }
  forged = JSON.stringify({ clientIp: '127.0.0.1', tlsClientAuth })
})

describe('forged header', () => {
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

  test('sent to the internal socket → accepted there', async () => {
    const socket = join(callers.tls.data, 'front.sock')
    const headers = { 'x-resile-cf': forged, 'x-request-id': 'proper' }
    expect((await callSocket(socket, '/v1/workflows', { headers })).status).toBe(200)
    problem(await callSocket(socket, '/v1/workflows'), 401, 'unauthenticated')
  })

  test.each(cases)('%s, %s → anonymous', async (_, __, url, lines) => {
    expect(await refused(url(), request('GET /v1/workflows HTTP/1.1', lines()))).not.toContain(200)
    await refused(url(), request(`POST ${start} HTTP/1.1`, [...json('{}'), ...lines()], '{}'))
  })

  test.each(listeners)('%s, in trailers → anonymous', async (_, url) => {
    const body = `2\r\n{}\r\n0\r\nx-resile-cf: ${forged}\r\n\r\n`
    const chunked = ['Content-Type: application/json', 'Transfer-Encoding: chunked', 'Trailer: x-resile-cf']
    expect(await refused(url(), request(`POST ${start} HTTP/1.1`, chunked, body))).not.toContain(200)
  })

  test("with another's certificate → refused, or that caller", async () => {
    const other = await callers.authority.issue({ uris: ['spiffe://example.com/other'] })
    for (const [, lines] of pretences) {
      const answered = await refused(callers.tls.url, request('GET /v1/workflows HTTP/1.1', lines()), other)
      expect([[], [400], [403], [431]]).toContainEqual(answered)
    }
  })

  test('internal sockets → owner only', () => {
    for (const socket of [callers.tls, callers.plain].flatMap(({ data, socket }) => [
      socket,
      join(data, 'front.sock'),
    ])) {
      expect(statSync(socket).mode & 0o777).toBe(0o600)
      expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700)
    }
    expect(statSync(callers.dev.file.socket).mode & 0o777).toBe(0o600)
  })
})

describe('bad certificate', () => {
  const day = 86_400_000
  /** Signs a certificate with the administrator's name with another key, and with any claim about the issuer. */
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
      () => callers.authority.issue({ uris: [admin], notAfter: new Date(Date.now() - 60_000) }),
      /expire/i,
    ],
    [
      'one that is not valid yet',
      () => callers.authority.issue({ uris: [admin], notBefore: new Date(Date.now() + day) }),
      /not.*yet/i,
    ],
    ['one that is revoked', () => callers.revoked, /revoked/i],
    ['one of another authority', async () => (await testAuthority('Another')).issue({ uris: [admin] }), /refused/],
    ['one of another of the same name', async () => (await testAuthority()).issue({ uris: [admin] }), /refused/],
    [
      'one of another that sends ours along',
      async () => {
        const { certPem, keyPem } = await (await testAuthority()).issue({ uris: [admin] })
        return { certPem: certPem + callers.authority.caPem, keyPem }
      },
      /refused/,
    ],
    ['one that signed itself', selfSigned, /refused/],
    [
      'one that says to be of ours, signed with another key',
      async () => signedBy({ certPem: callers.authority.caPem, keyPem: await newKeyPem() }, callers.authority.caPem),
      /refused/,
    ],
    [
      'one that somebody signed with a client certificate of ours',
      async () => {
        const issuer = await callers.authority.issue({ uris: ['spiffe://example.com/other'] })
        return signedBy(issuer, issuer.certPem, callers.authority.caPem)
      },
      /refused/,
    ],
    [
      'one that was signed by a client who claims to be an authority',
      async () => {
        const issuer = await callers.authority.issue({ uris: ['spiffe://example.com/other'], ca: true })
        return signedBy(issuer, issuer.certPem, callers.authority.caPem)
      },
      /refused/,
    ],
    ['one that claims to be an authority', () => callers.authority.issue({ uris: [admin], ca: true }), /authority/],
    ['one for servers', () => callers.authority.issue({ uris: [admin], server: true }), /refused/],
    ['one without a URI', () => callers.authority.issue(), /names no URI/],
    ['one with a second URI', () => callers.authority.issue({ uris: [admin, 'spiffe://example.com/x'] }), /2 URIs/],
    ['one with the same URI twice', () => callers.authority.issue({ uris: [admin, admin] }), /2 URIs/],
    [
      'one whose host name reads like one',
      () => callers.authority.issue({ rawSan: `x, URI:${admin}` }),
      /names no URI/,
    ],
    [
      'one with the name as a host name',
      () => callers.authority.issue({ dns: ['worker-admin', admin] }),
      /names no URI/,
    ],
    [
      'one of another domain',
      () => callers.authority.issue({ uris: ['spiffe://example.org/worker-admin'] }),
      /not permitted/,
    ],
    [
      'one of the own domain',
      () => callers.authority.issue({ uris: ['spiffe://resile.local/operator'] }),
      /not permitted/,
    ],
    [
      'one in upper case',
      () => callers.authority.issue({ uris: ['spiffe://EXAMPLE.com/worker-admin'] }),
      /not a SPIFFE ID/,
    ],
    [
      'one of another scheme',
      () => callers.authority.issue({ uris: ['https://example.com/worker-admin'] }),
      /not a SPIFFE ID/,
    ],
    [
      'one with an escape',
      () => callers.authority.issue({ uris: ['spiffe://example.com/worker%2dadmin'] }),
      /not a SPIFFE ID/,
    ],
  ])('%s → unauthenticated', async (_, make, why) => {
    const client = await make()
    expect(problem(await callers.tls.call('/v1/workflows', client), 401, 'unauthenticated').detail).toMatch(why)
    problem(await callers.tls.call(start, client, { body: {} }), 401, 'unauthenticated')
    // The same where the server may not send its verdict before it has been asked.
    await refused(callers.tls.url, request('GET /v1/decisions HTTP/1.1'), client)
  })
})

allWasInVain(callers)

function keysOf(pem: string) {
  const keys = keyPairOf(pem)
  if (keys === null) throw new Error('not a key')
  return keys
}
