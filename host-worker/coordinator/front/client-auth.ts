/** Who is at the other end of a connection, in the shape that Cloudflare's edge gives its Workers. */
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { findPath, judgePath, type Path, type Verdict } from './chain.ts'
import type { ServerTls } from './server-tls.ts'

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
  /** Why the body was kept back: no rule lets the caller pass, or it is too large. */
  withoutBody?: 'refused' | 'too_large'
}

/**
 * How long after its handshake a connection counts whose chain can't be seen: then it is verified, but nobody can say
 * when that ends. Node 24.21.0 (OpenSSL 3.5.8) hides what clients send besides their own certificate.
 */
const UNSEEN_CHAIN_TTL_MS = 10_000

/** What was established when a connection was made with a certificate. */
interface Peer {
  certificate: X509Certificate
  /** What the client sent besides. */
  sent: readonly X509Certificate[]
  /** Of the files with which it was verified. */
  version: string
  /** By the monotonic clock. */
  verifiedAt: number
  /** Null when none is seen. It is found again when the files have changed. */
  path: { tls: ServerTls; found: Path | null }
}

const PEERS = new WeakMap<TLSSocket, Peer>()

/** Keeps who is at the other end of a connection that was just made: the one certificate that was verified. */
export function rememberPeer(socket: TLSSocket, tls: ServerTls): void {
  // Before Node's other function for it, which takes the chain away from OpenSSL.
  const presented = socket.getPeerCertificate(true)
  if (presented.raw === undefined) return
  const certificate = new X509Certificate(presented.raw)
  // What was not verified may hold anything, and is refused without another look.
  const sent = socket.authorized ? issuersIn(presented) : []
  const found = socket.authorized ? findPath(certificate, sent, tls.authorities) : null
  PEERS.set(socket, { certificate, sent, version: tls.version, verifiedAt: performance.now(), path: { tls, found } })
}

/** The fingerprint (SHA-256) of a certificate that was verified when the connection was made; null without one. */
export function verifiedFingerprint(socket: TLSSocket): string | null {
  return socket.authorized ? (PEERS.get(socket)?.certificate.fingerprint256 ?? null) : null
}

/** Whether a connection has to end with its answer: it was verified, but will not be known to be for long. */
export function isSingleUse({ socket }: IncomingMessage): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false
  return PEERS.get(socket)?.path.found === null
}

/**
 * The facts of a request's connection. What was verified when it was made is checked again by what is valid now: an
 * authority may have been removed or have expired, or a certificate be revoked.
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
  const field = `:${peer.certificate.raw.toString('base64')}:`
  const verdict = judge(socket, peer, tls)
  return {
    clientIp,
    tlsClientAuth: {
      certPresented: '1',
      certVerified: verdict.state === 'failed' ? `FAILED:${verdict.why}` : 'SUCCESS',
      certRevoked: verdict.state === 'revoked' ? '1' : '0',
      ...(field.length > MAX_CERTIFICATE_LENGTH ? {} : { certRFC9440: field }),
    },
  }
}

function judge(socket: TLSSocket, peer: Peer, tls: ServerTls): Verdict {
  if (!socket.authorized) {
    const error = verifyError(socket)
    return error === 'CERT_REVOKED' ? { state: 'revoked' } : { state: 'failed', why: error }
  }
  if (peer.path.tls !== tls) {
    peer.path = { tls, found: findPath(peer.certificate, peer.sent, tls.authorities) }
  }
  const { found } = peer.path
  if (found !== null) return judgePath(found, tls, Date.now())
  const isFresh = performance.now() - peer.verifiedAt < UNSEEN_CHAIN_TTL_MS
  if (peer.version === tls.version && isFresh) return { state: 'trusted' }
  return { state: 'failed', why: 'no authority that is trusted now issued it' }
}

/** The certificates that Node found among what was sent, and among the authorities. */
function issuersIn(presented: DetailedPeerCertificate): X509Certificate[] {
  const found = new Map<string, X509Certificate>()
  let next: Partial<DetailedPeerCertificate> | undefined = presented.issuerCertificate
  // A root issues itself.
  while (next?.raw !== undefined) {
    const issuer = new X509Certificate(next.raw)
    if (found.has(issuer.fingerprint256)) break
    found.set(issuer.fingerprint256, issuer)
    next = next.issuerCertificate
  }
  return [...found.values()]
}

/** OpenSSL's name of what is wrong with a certificate; Node says so by a text, though its types promise an error. */
function verifyError({ authorizationError }: TLSSocket): string {
  const error: unknown = authorizationError
  return error instanceof Error ? error.message : String(error ?? 'not verified')
}
