/** Who is calling. */

/** The door that a request came in by: a TCP socket, or the unix socket that only the machine's operator can open. */
export type Door = 'network' | 'local'

/** A caller as decisions and logs name it: a SPIFFE ID or `anonymous`. */
export type Caller = string

/** The caller without any identity. */
export const ANONYMOUS: Caller = 'anonymous'

/** The owner of the coordinator's unix socket; passes every route rule. */
export const LOCAL_OPERATOR: Caller = 'spiffe://resile.local/operator'

/** Identifies the caller of a request. Which door was used is not the caller's to say, so no header is looked at. */
export function identify(door: Door): Caller {
  return door === 'local' ? LOCAL_OPERATOR : ANONYMOUS
}
