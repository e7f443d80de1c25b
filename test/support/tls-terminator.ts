/** TLS with client certificates in front of a server that has none, as Temporal's `requireClientAuth` is. */
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { TestAuthority } from './certificates.ts'
import { atEnd } from './cleanup.ts'

/** A listener that passes bytes on from those whose certificate it accepts. */
export interface TlsTerminator {
  port: number
  /** Serial numbers of the clients' certificates on connections that were accepted, in their order. */
  accepted: string[]
  /** From now on refuses a certificate, and ends the connections made with it. */
  revoke(serial: string): void
}

/**
 * Starts one.
 *
 * @param target   port on loopback
 * @param protocol by ALPN: `h2` for gRPC
 * @param name     the only name that its certificate is for
 */
export async function terminateTls(
  target: number,
  protocol: 'h2' | 'http/1.1',
  authority: TestAuthority,
  name: string,
): Promise<TlsTerminator> {
  const { certPem, keyPem } = await authority.issue({ server: true, dns: [name] })
  const server = createServer({
    cert: certPem,
    key: keyPem,
    ca: authority.caPem,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [protocol],
  })
  const open = new Map<TLSSocket, string>()
  const revoked = new Set<string>()
  const accepted: string[] = []
  server.on('secureConnection', (socket) => {
    const { serialNumber: serial } = socket.getPeerCertificate()
    socket.on('error', () => undefined)
    if (revoked.has(serial)) {
      socket.destroy()
      return
    }
    accepted.push(serial)
    open.set(socket, serial)
    socket.once('close', () => open.delete(socket))
    const onward = connect({ host: '127.0.0.1', port: target })
    onward.on('error', () => socket.destroy())
    onward.once('close', () => socket.destroy())
    socket.once('close', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(() => {
    server.close()
    for (const socket of open.keys()) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    accepted,
    revoke(serial) {
      revoked.add(serial)
      for (const [socket, owner] of open) if (owner === serial) socket.destroy()
    },
  }
}
