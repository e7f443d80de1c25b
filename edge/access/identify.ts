/** Who is calling. */
import { ANONYMOUS, type Caller, LOCAL_OPERATOR } from '../../shared/callers.ts'
import type { Config } from '../../shared/config.ts'
import { proofOf, type TlsClientAuth } from './client-certificate.ts'

/** The listener that received a request: a network socket, or the unix socket that only the machine's operator can open. */
export type Listener = 'network' | 'local'

/** The caller, and why it is anonymous. */
export interface Identity {
  caller: Caller
  /** Why the caller is anonymous; null when it is not, or no credentials were expected. */
  reason: string | null
}

/**
 * Identifies the caller of a request. No header is read: the caller can't choose its listener, and a certificate is not
 * passed in a header.
 *
 * @param auth what the TLS terminator says of the client certificate
 * @throws ProblemError `unauthenticated` for a client certificate that can't be trusted
 */
export function identify(config: Config, listener: Listener, auth: TlsClientAuth | undefined): Identity {
  if (listener === 'local') return { caller: LOCAL_OPERATOR, reason: null }
  const server = config.coordinator.server_config
  if (server?.enable_tls !== true) return { caller: ANONYMOUS, reason: null }
  const proof = proofOf(auth, server, Date.now())
  return proof.id === null ? { caller: ANONYMOUS, reason: proof.reason } : { caller: proof.id, reason: null }
}
