/**
 * SPIFFE identities in client certificates (X.509-SVID).
 *
 * Names are read from the certificate's structure, never from text: a DNS name may contain `, URI:spiffe://…`.
 *
 * @see https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
 */
// The library's decorators need it, and before it.
import 'reflect-metadata'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509'
import QuickLRU from 'quick-lru'
import { trustDomainOf } from '../../shared/spiffe-id.ts'

/** The identity and validity of a certificate; times in milliseconds since the epoch. */
export interface Svid {
  /** Its SPIFFE ID; null when it has none that counts. */
  id: string | null
  /** Why it has none. */
  reason: string | null
  notBefore: number
  notAfter: number
  /** Whether its extended key usage has clientAuth (RFC 5280 section 4.2.1.12). */
  isForClients: boolean
}

/** The certificates that were read last: a caller sends the same one with each request. */
const CACHE = new QuickLRU<string, { svid: Svid | null }>({ maxSize: 1000 })

/**
 * Reads a certificate.
 *
 * @param field the DER between colons in base64, as RFC 9440 writes a certificate in a header field
 * @returns null when it is no certificate
 */
export function readSvid(field: string): Svid | null {
  const cached = CACHE.get(field)
  if (cached !== undefined) return cached.svid
  const svid = parse(field)
  CACHE.set(field, { svid })
  return svid
}

function parse(field: string): Svid | null {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(field)?.[1]
  if (base64 === undefined) return null
  try {
    const certificate = new X509Certificate(Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)))
    return {
      ...identityOf(certificate),
      notBefore: certificate.notBefore.getTime(),
      notAfter: certificate.notAfter.getTime(),
      isForClients: isForClients(certificate),
    }
  } catch {
    return null
  }
}

/** TLS terminators accept a certificate without the extension, as one for anything. */
function isForClients(certificate: X509Certificate): boolean {
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? []
  return usages.some((usage) => String(usage) === ExtendedKeyUsage.clientAuth)
}

function identityOf(certificate: X509Certificate): Pick<Svid, 'id' | 'reason'> {
  const none = (reason: string): Pick<Svid, 'id' | 'reason'> => ({ id: null, reason })
  const names = certificate.extensions.filter(({ type }) => type === '2.5.29.17')
  if (names.length > 1) return none('it has more than one list of alternative names')
  const [extension] = names
  const uris =
    extension instanceof SubjectAlternativeNameExtension
      ? extension.names.items.filter(({ type }) => type === 'url').map(({ value }) => value)
      : []
  const [uri] = uris
  if (uri === undefined) return none('it names no URI')
  if (uris.length > 1) return none(`it names ${uris.length} URIs; an identity is exactly one`)
  if (certificate.getExtension(BasicConstraintsExtension)?.ca === true) return none('it is a certificate authority')
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages ?? 0
  if ((usages & (KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)) !== 0) {
    return none('its key may sign certificates')
  }
  return trustDomainOf(uri) === null ? none('its URI is not a SPIFFE ID') : { id: uri, reason: null }
}
