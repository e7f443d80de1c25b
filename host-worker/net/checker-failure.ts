/** Failures of a check that say nothing about the service: the checker itself could not ask it. */

/**
 * Codes of Node, OpenSSL and errno(3) by which the request never reached a service that was in a position to answer: no
 * address, no route, no descriptor left, or a certificate that only this machine does not trust. An expired certificate,
 * or one for another name, is the service's own fault.
 */
const CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_MEMORY',
  'ENOTFOUND',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EPROTO',
  'ERR_INVALID_URL',
  'ERR_INVALID_PROTOCOL',
  'ERR_UNESCAPED_CHARACTERS',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'ENOENT',
])

/** Whether the checker failed, and not the service. Of several addresses, one that could be asked decides. */
export function isCheckerFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isCheckerFailure)
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  return CODES.has(error.code) || error.code.startsWith('ERR_SSL_')
}
