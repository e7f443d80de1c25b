import { KeyObject, type webcrypto, X509Certificate } from 'node:crypto'
import { namesOf } from './authority.ts'

/** The requirements on a certificate. */
export interface Requirements {
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
export function isReusable(pem: string, requirements: Requirements): boolean {
  const certificate = parse(pem)
  if (certificate === null) return false
  const notBefore = certificate.validFromDate.getTime()
  const notAfter = certificate.validToDate.getTime()
  return (
    notBefore <= requirements.now &&
    notAfter - requirements.now > (notAfter - notBefore) / 10 &&
    isIssuedBy(certificate, new X509Certificate(requirements.ca)) &&
    KeyObject.from(requirements.publicKey).equals(certificate.publicKey) &&
    sameNames(namesOf(pem), requirements)
  )
}

function sameNames(names: Requirements['names'], requirements: Requirements): boolean {
  const has = (all: Requirements['names'], one: Requirements['names'][number]): boolean =>
    all.some(({ type, value }) => type === one.type && value === one.value)
  return (
    requirements.names.every((name) => has(names, name)) &&
    (requirements.moreNames ||
      (names.length === requirements.names.length && names.every((name) => has(requirements.names, name))))
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
