import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { type TestAuthority, testAuthority } from '../../../test/support/certificates.ts'
import { temporaryDirectory } from '../../../test/support/files.ts'
import type { ConnectionFacts } from './client-auth.ts'
import { Front } from './front.ts'
import { listedAs } from './revocation.ts'
import { Upstream } from './upstream.ts'

/** What the front says of a connection's certificate. */
async function verdict(connection: TLSSocket): Promise<unknown> {
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [answer] = (await once(connection, 'data')) as [Buffer]
  const { tlsClientAuth } = JSON.parse(answer.toString().split('\r\n\r\n')[1] ?? '') as ConnectionFacts
  return [tlsClientAuth?.certVerified, tlsClientAuth?.certRevoked]
}

test('revocation: by its own authority → refused, on open connections too', async () => {
  const directory = temporaryDirectory()
  const [one, other] = [await testAuthority('one'), await testAuthority('other')]
  const server = await one.issue({ dns: ['localhost'], server: true })
  const put = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const lists = async (...revoked: string[]): Promise<string> =>
    put('crl.pem', `${await one.crlPem(revoked)}${await other.crlPem([])}`)
  const socket = join(directory, 'up.sock')
  const upstream = createServer(({ headers }, response) => response.end(headers['x-resile-cf'])).listen(socket)
  const files = {
    cert: put('server.pem', server.certPem),
    key: put('server-key.pem', server.keyPem),
    clientCa: put('ca.pem', `${one.caPem}${other.caPem}`),
    crl: await lists(),
  }
  const front = await Front.start(
    { upstream: new Upstream(socket), tls: files, bodies: () => true },
    { host: '127.0.0.1', port: 0 },
  )
  const callAs = async (authority: TestAuthority): Promise<TLSSocket> => {
    const { certPem: cert, keyPem: key } = await authority.issue({ serial: '05' })
    const connection = connect({ port: front.port ?? 0, servername: 'localhost', ca: one.caPem, cert, key })
    await once(connection, 'secureConnect')
    return connection
  }
  const [first, second] = [await callAs(one), await callAs(other)]
  try {
    expect([await verdict(first), await verdict(second)]).toEqual([
      ['SUCCESS', '0'],
      ['SUCCESS', '0'],
    ])
    await lists('05')
    await front.reload()
    expect([await verdict(first), await verdict(second)]).toEqual([
      ['SUCCESS', '1'],
      ['SUCCESS', '0'],
    ])
  } finally {
    first.destroy()
    second.destroy()
    await front.drain()
    upstream.close()
  }
})

test('revocation: invalid certificate → no serial number, no error', () => {
  expect(listedAs(Buffer.from('3003020101', 'hex'))).toBeNull()
})
