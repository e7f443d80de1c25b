import { KeyObject, type webcrypto, X509Certificate } from 'node:crypto'
import { namesOf } from './authority.ts'

/** What a certificate has to be for. */
export interface Wanted {
  /** PEM of the CA. */
  ca: string
  /** The holder's. */
  publicKey: webcrypto.CryptoKey
  names: readonly { type: string; value: string }[]
  /** Whether other names than these are fine too. */
  moreNames: boolean
  /** Milliseconds since 1970. */
  now: number
}

/**
 * Whether a certificate can stay: it is the CA's and the key's, says whom it has to say, holds now, and more than a
 * tenth of its life is left. `pem` may be any text.
 */
export function stillGood(pem: string, wanted: Wanted): boolean {
  const certificate = parse(pem)
  if (certificate === null) return false
  const notBefore = certificate.validFromDate.getTime()
  const notAfter = certificate.validToDate.getTime()
  return (
    notBefore <= wanted.now &&
    notAfter - wanted.now > (notAfter - notBefore) / 10 &&
    isIssuedBy(certificate, new X509Certificate(wanted.ca)) &&
    KeyObject.from(wanted.publicKey).equals(certificate.publicKey) &&
    sameNames(namesOf(pem), wanted)
  )
}

function sameNames(names: Wanted['names'], wanted: Wanted): boolean {
  const has = (all: Wanted['names'], one: Wanted['names'][number]): boolean =>
    all.some(({ type, value }) => type === one.type && value === one.value)
  return (
    wanted.names.every((name) => has(names, name)) &&
    (wanted.moreNames || (names.length === wanted.names.length && names.every((name) => has(wanted.names, name))))
  )
}

function isIssuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey)
}

function parse(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem)
  } catch {
    return null
  }
}
