import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { testAuthority } from '../../../test/support/certificates.ts'
import { temporaryDirectory } from '../../../test/support/files.ts'
import { Front } from './front.ts'
import { Upstream } from './upstream.ts'

/** Resolves with what the server made of a wish to shake hands again. */
function renegotiate(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', () => resolve('failed'))
    socket.once('close', () => resolve('closed'))
    socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null ? 'done' : 'failed'))
  })
}

test('renegotiation: another certificate on the same connection → refused', async () => {
  const directory = temporaryDirectory()
  const authority = await testAuthority()
  const server = await authority.issue({ dns: ['localhost'], server: true })
  const client = await authority.issue({ uris: ['spiffe://example.org/worker/web-1'] })
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const socket = join(directory, 'up.sock')
  const upstream = createServer((_, response) => response.end()).listen(socket)
  const files = {
    cert: file('server.pem', server.certPem),
    key: file('server-key.pem', server.keyPem),
    clientCa: file('ca.pem', authority.caPem),
    crl: null,
  }
  const front = await Front.start(
    { upstream: new Upstream(socket), tls: files, bodies: () => true },
    { host: '127.0.0.1', port: 0 },
  )
  const connection = connect({
    host: '127.0.0.1',
    port: front.port ?? 0,
    servername: 'localhost',
    ca: authority.caPem,
    cert: client.certPem,
    key: client.keyPem,
    maxVersion: 'TLSv1.2',
  })
  try {
    await once(connection, 'secureConnect')
    expect(await renegotiate(connection)).not.toBe('done')
  } finally {
    connection.destroy()
    await front.drain()
    upstream.close()
  }
})
