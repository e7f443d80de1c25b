/**
 * SPIFFE IDs: the identity of a workload, as a URI.
 *
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
 */

/** The length of a SPIFFE ID, in bytes, by section 2.3 of the standard. */
const MAX_ID_LENGTH = 2048
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/

/** Whether a text can be the name of a trust domain: lower case, no port, no user. */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text)
}

/** Whether a text is a SPIFFE ID in its one spelling: no upper-case domain, port, query, escape, empty or dot segment. */
export function isSpiffeId(text: string): boolean {
  return trustDomainOf(text) !== null
}

/** The trust domain of a SPIFFE ID; null for any other text. */
export function trustDomainOf(text: string): string | null {
  const [, domain, path = ''] = SPIFFE_ID.exec(text) ?? []
  if (domain === undefined || text.length > MAX_ID_LENGTH) return null
  return path.split('/').some((segment) => segment === '.' || segment === '..') ? null : domain
}
