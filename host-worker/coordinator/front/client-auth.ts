/** Who is at the other end of a connection, in the shape that Cloudflare's edge gives its Workers. */
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { type ServerTls, serialOf } from './server-tls.ts'

/** Length of a certificate that is passed on; workerd takes no longer header. */
const MAX_CERTIFICATE_LENGTH = 12 * 1024

/** The facts that are passed on as `request.cf`. */
export interface ConnectionFacts {
  clientIp: string
  tlsClientAuth?: {
    certPresented: '0' | '1'
    certVerified: string
    certRevoked: '0' | '1'
    certRFC9440?: string
  }
}

/** What was established when a connection was made with a certificate. */
interface Peer {
  certificate: X509Certificate
  /** Fingerprints (SHA-256) of those that issued it, up to the root. */
  issuers: ReadonlySet<string>
  /** The serial numbers by which revocation lists know it and its issuers. */
  serials: readonly string[]
}

const PEERS = new WeakMap<TLSSocket, Peer>()

/** Keeps who is at the other end of a connection that was just made: the one certificate that was verified. */
export function rememberPeer(socket: TLSSocket): void {
  const certificate = socket.getPeerX509Certificate()
  // One that was not verified may hold anything, and is refused without another look.
  if (certificate === undefined) return
  const issuers = socket.authorized ? issuersOf(socket, certificate) : new Map<string, Buffer>()
  const chain = socket.authorized ? [certificate.raw, ...issuers.values()] : []
  PEERS.set(socket, {
    certificate,
    issuers: new Set(issuers.keys()),
    serials: chain.map((der) => serialOf(Buffer.from(der))).filter((serial) => serial !== null),
  })
}

/**
 * The facts of a request's connection. What was verified when it was made is checked again by what is valid now: an
 * authority may have been removed, or the certificate revoked.
 *
 * @param tls null for a listener without TLS
 */
export function connectionFacts({ socket }: IncomingMessage, tls: ServerTls | null): ConnectionFacts {
  const clientIp = socket.remoteAddress ?? ''
  if (!(socket instanceof TLSSocket) || tls === null) return { clientIp }
  const peer = PEERS.get(socket)
  if (peer === undefined) {
    return { clientIp, tlsClientAuth: { certPresented: '0', certVerified: 'NONE', certRevoked: '0' } }
  }
  const { certificate } = peer
  const field = `:${certificate.raw.toString('base64')}:`
  const isRevoked = peer.serials.some((serial) => tls.revoked.has(serial)) || verifyError(socket) === 'CERT_REVOKED'
  return {
    clientIp,
    tlsClientAuth: {
      certPresented: '1',
      certVerified: verdict(socket, peer, tls),
      certRevoked: isRevoked ? '1' : '0',
      ...(field.length > MAX_CERTIFICATE_LENGTH ? {} : { certRFC9440: field }),
    },
  }
}

function verdict(socket: TLSSocket, { issuers }: Peer, { authorities }: ServerTls): string {
  if (!socket.authorized) return `FAILED:${verifyError(socket)}`
  const isTrusted = [...issuers].some((issuer) => authorities.has(issuer))
  return isTrusted ? 'SUCCESS' : 'FAILED:no authority that is trusted now issued it'
}

/** Those whose signatures lead up to the root, in DER by their fingerprints: a name that fits proves nothing. */
function issuersOf(socket: TLSSocket, leaf: X509Certificate): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  let child = leaf
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true).issuerCertificate
  while (next?.raw !== undefined) {
    const issuer = new X509Certificate(next.raw)
    // A root issues itself.
    if (found.has(issuer.fingerprint256) || !isSignedBy(child, issuer)) break
    found.set(issuer.fingerprint256, next.raw)
    child = issuer
    next = next.issuerCertificate
  }
  return found
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey)
  } catch {
    // A key of a kind that can't be read, which a client may have sent.
    return false
  }
}

/** OpenSSL's name of what is wrong with a certificate; Node says so by a text, though its types promise an error. */
function verifyError({ authorizationError }: TLSSocket): string {
  const error: unknown = authorizationError
  return error instanceof Error ? error.message : String(error ?? 'not verified')
}
