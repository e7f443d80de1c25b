/** Who is calling. */
import { ANONYMOUS, type Caller, LOCAL_OPERATOR } from '../../shared/callers.ts'
import type { Config } from '../../shared/config.ts'
import { proofOf } from './client-certificate.ts'

/** The door that a request came in by: a network socket, or the unix socket that only the machine's operator can open. */
export type Door = 'network' | 'local'

/** Who calls, and if nobody that is known, why not. */
export interface Identity {
  caller: Caller
  /** For an anonymous caller; null when nothing was to be expected. */
  reason: string | null
}

/**
 * Identifies the caller of a request. Which door was used is not the caller's to say, and what a certificate proves
 * stands in no header, so none is looked at.
 *
 * @throws ProblemError `unauthenticated` for a client certificate that can't be trusted
 */
export function identify(config: Config, door: Door, request: Request): Identity {
  if (door === 'local') return { caller: LOCAL_OPERATOR, reason: null }
  const server = config.coordinator.server_config
  if (server?.enable_tls !== true) return { caller: ANONYMOUS, reason: null }
  const proof = proofOf(request, server, Date.now())
  return proof.id === null ? { caller: ANONYMOUS, reason: proof.reason } : { caller: proof.id, reason: null }
}
