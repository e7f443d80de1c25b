/** That a TLS server lets in whom the certificates say, and nobody else. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, get, type RequestOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type TestAuthority, type TestLeaf, testAuthority } from '../../test/support/certificates.ts'
import { makeCertificates } from './make-certificates.ts'
import { clientPaths } from './paths.ts'

interface Credentials {
  ca: string
  cert?: string
  key?: string
}

/** Starts a server on the loopback that wants client certificates and answers with their alternative names. */
async function serve(options: { ca: string; cert: string; key: string; crl?: string }): Promise<number> {
  const server = createServer({ ...options, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    const socket = request.socket as TLSSocket
    response.end(`${socket.authorized} ${socket.getPeerCertificate().subjectaltname ?? 'nobody'}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

/** What the server answers, or the code of the error. */
function ask(port: number, credentials: Credentials, options: RequestOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, agent: false, ...credentials, ...options }, (response) => {
      response.setEncoding('utf8').on('data', resolve)
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

test('handshake: clients and server of one directory → accepted by name and address', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'resile-handshake-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const uri = 'spiffe://example.org/operator'
  const { paths } = await makeCertificates({ directory, hosts: [], clients: [{ name: 'operator', uri }], days: 1 })
  const client = clientPaths(directory, 'operator')
  const [ca, cert, key, clientCert, clientKey] = (await Promise.all(
    [paths.ca, paths.server, paths.serverKey, client.certificate, client.key].map((file) => readFile(file, 'utf8')),
  )) as [string, string, string, string, string]
  const port = await serve({ ca, cert, key })
  const operator = { ca, cert: clientCert, key: clientKey }
  expect(await ask(port, operator)).toBe(`true URI:${uri}`)
  expect(await ask(port, operator, { servername: 'localhost' })).toBe(`true URI:${uri}`)
  expect(await ask(port, operator, { servername: 'elsewhere' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  expect(await ask(port, { ca })).toMatch(/CERTIFICATE_REQUIRED/)
  // A server's certificate is none for a client.
  expect(await ask(port, { ca, cert, key })).toMatch(/ALERT|ECONNRESET|EPIPE/)
})

describe('certificates in a handshake', () => {
  const ADMIN = 'spiffe://example.org/admin'
  let authority: TestAuthority
  beforeAll(async () => {
    authority = await testAuthority()
  })
  const withServer = async (revoked?: readonly string[]) => {
    const { certPem, keyPem } = await authority.issue({ server: true, dns: ['localhost'] })
    const crl = revoked === undefined ? {} : { crl: await authority.crlPem(revoked) }
    const port = await serve({ ca: authority.caPem, cert: certPem, key: keyPem, ...crl })
    return async (leaf: TestLeaf, issuer = authority) => {
      const { certPem: cert, keyPem: key } = await issuer.issue(leaf)
      return ask(port, { ca: authority.caPem, cert, key }, { servername: 'localhost' })
    }
  }

  test.each<[string, TestLeaf, string]>([
    ['one identity', { uris: [ADMIN] }, `true URI:${ADMIN}`],
    ['none', {}, 'true nobody'],
    ['two', { uris: [ADMIN, 'spiffe://example.org/other'] }, `true URI:${ADMIN}, URI:spiffe://example.org/other`],
    ['a name that looks like one', { rawSan: `x, URI:${ADMIN}` }, `true DNS:"x\\u002c URI:${ADMIN}"`],
    ['one that is a CA', { uris: [ADMIN], ca: true }, `true URI:${ADMIN}`],
  ])('%s → accepted', async (_, leaf, answer) => {
    expect(await (await withServer())(leaf)).toBe(answer)
  })

  const hour = 3_600_000
  test.each<[string, TestLeaf]>([
    ['has expired', { uris: [ADMIN], notAfter: new Date(Date.now() - hour) }],
    ['is not valid yet', { uris: [ADMIN], notBefore: new Date(Date.now() + hour) }],
  ])('%s → refused', async (_, leaf) => {
    expect(await (await withServer())(leaf)).toMatch(/ALERT|ECONNRESET|EPIPE/)
  })

  test('another CA of the same name → refused', async () => {
    const stranger = await testAuthority()
    expect(await (await withServer())({ uris: [ADMIN] }, stranger)).toMatch(/ALERT|ECONNRESET|EPIPE/)
  })

  test('revoked → refused, others accepted', async () => {
    const { serial } = await authority.issue({ serial: '0badcafe' })
    expect(serial).toBe('0BADCAFE')
    const connect = await withServer([serial])
    expect(await connect({ uris: [ADMIN], serial })).toMatch(/ALERT|ECONNRESET|EPIPE/)
    expect(await connect({ uris: [ADMIN] })).toBe(`true URI:${ADMIN}`)
    expect(await (await withServer([]))({ uris: [ADMIN] })).toBe(`true URI:${ADMIN}`)
  })
})
