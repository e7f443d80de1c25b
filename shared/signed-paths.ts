/** Below it are the endpoints whose senders are known by their signature of the body. */
const PREFIX = '/v1/triggers/'
/** Of these, the one that knows callers by their certificates alone. */
const UNSIGNED = '/v1/triggers/alertmanager'

/**
 * Whether a request's caller may be known by a signature, and so only after its body was read.
 *
 * @param path decoded, as the router sees it
 */
export function maySign(method: string, path: string): boolean {
  return method === 'POST' && path.startsWith(PREFIX) && path !== UNSIGNED
}
