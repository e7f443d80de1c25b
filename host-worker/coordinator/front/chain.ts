/**
 * Chains of client certificates, checked again for each request: what OpenSSL verified when a connection was made may no
 * longer hold.
 *
 * @see RFC 5280 section 6 (path validation), which OpenSSL has done before
 */
import type { X509Certificate } from 'node:crypto'
import { type Listed, listedAs } from './revocation.ts'
import type { ServerTls } from './server-tls.ts'

/** What holds of a chain now. */
export type Verdict = { state: 'trusted' } | { state: 'revoked' } | { state: 'failed'; why: string }

/** From a leaf up to those that are trusted. */
export interface Path {
  /** The leaf, then each one's issuer; the last was issued by one of the anchors. */
  certificates: readonly X509Certificate[]
  /** What revocation lists know each of them by; null for one that can't be read. */
  listed: readonly (Listed | null)[]
  /** Authorities that are configured; several have one key when an authority was renewed. */
  anchors: readonly X509Certificate[]
}

/**
 * Finds the way from a leaf to the authorities.
 *
 * @param sent what the client sent besides, in any order
 * @returns null when there is none
 */
export function findPath(
  leaf: X509Certificate,
  sent: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): Path | null {
  const certificates = [leaf]
  // Of several with one key, as when an authority was renewed, the one that holds longest.
  const left = [...sent].sort((a, b) => b.validToDate.getTime() - a.validToDate.getTime())
  for (let last = leaf; ; ) {
    const issued = last
    const anchors = authorities.filter((authority) => isIssuedBy(issued, authority))
    if (anchors.length > 0) return { certificates, listed: certificates.map(({ raw }) => listedAs(raw)), anchors }
    const index = left.findIndex((candidate) => candidate.ca && isIssuedBy(issued, candidate))
    const [next] = index < 0 ? [] : left.splice(index, 1)
    if (next === undefined) return null
    certificates.push(next)
    last = next
  }
}

/** Judges a path by the time, and by the revocation lists. */
export function judgePath({ certificates, listed, anchors }: Path, tls: ServerTls, now: number): Verdict {
  const [leaf, ...above] = certificates
  // The leaf's own time is in the certificate that is passed on, and judged there.
  const old = above.find((certificate) => !isValid(certificate, now))
  if (old !== undefined)
    return { state: 'failed', why: `the CA certificate of ${nameOf(old)} has expired or is not valid yet` }
  if (leaf === undefined || !anchors.some((anchor) => isValid(anchor, now))) {
    return { state: 'failed', why: `the CA certificate of ${nameOf(anchors[0])} has expired or is not valid yet` }
  }
  if (tls.revocation === null) return { state: 'trusted' }
  for (const entry of listed) {
    if (entry === null) return { state: 'failed', why: 'its issuer or serial number cannot be read' }
    if (tls.revocation.revoked.has(entry.key)) return { state: 'revoked' }
    const end = tls.revocation.ends.get(entry.issuer)
    if (end === undefined) return { state: 'failed', why: `there is no revocation list of ${entry.issuer}` }
    if (end < now) return { state: 'failed', why: `the revocation list of ${entry.issuer} is outdated` }
  }
  return { state: 'trusted' }
}

/** Whether a certificate names another as its issuer, and bears its signature: a name that fits proves nothing. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    // A key of a kind that can't be read, which a client may have sent.
    return false
  }
}

function isValid({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime()
}

function nameOf(certificate: X509Certificate | undefined): string {
  return certificate?.subject.replaceAll('\n', ', ') ?? 'its issuer'
}
