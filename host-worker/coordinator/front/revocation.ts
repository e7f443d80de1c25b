/** Certificate revocation lists (RFC 5280 section 5). */
import 'reflect-metadata'
import { X509Certificate, X509Crl } from '@peculiar/x509'

/** What the lists say. */
export interface Revocation {
  /** Certificates that are revoked, by the `key` of {@link listedAs}. */
  revoked: ReadonlySet<string>
  /** Until when the newest list of each issuer holds, by the issuer's name; milliseconds since the epoch. */
  ends: ReadonlyMap<string, number>
}

/** What lists know a certificate by. */
export interface Listed {
  issuer: string
  /** The issuer's name and the number that this issuer gave it. */
  key: string
}

/**
 * Reads lists in PEM.
 *
 * @throws what the library throws for one that can't be read
 */
export function readRevocation(lists: readonly string[]): Revocation {
  const parsed = lists.map((list) => new X509Crl(list))
  const ends = new Map<string, number>()
  for (const { issuer, nextUpdate } of parsed) {
    const end = nextUpdate?.getTime() ?? Number.POSITIVE_INFINITY
    ends.set(issuer, Math.max(end, ends.get(issuer) ?? 0))
  }
  const revoked = parsed.flatMap(({ issuer, entries }) =>
    entries.map(({ serialNumber }) => keyOf(issuer, serialNumber)),
  )
  return { revoked: new Set(revoked), ends }
}

/** Null for what can't be read, as a client may send beside a valid certificate. */
export function listedAs(der: Uint8Array): Listed | null {
  try {
    const { issuer, serialNumber } = new X509Certificate(new Uint8Array(der))
    return { issuer, key: keyOf(issuer, serialNumber) }
  } catch {
    return null
  }
}

/** Numbers are written in upper-case hex, without leading zeros. */
function keyOf(issuer: string, serial: string): string {
  return `${serial.toUpperCase().replace(/^(?:00)+(?=.)/, '')} of ${issuer}`
}
