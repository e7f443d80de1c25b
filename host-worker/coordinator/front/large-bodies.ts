/** Room for bodies that are larger than they usually may be. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'

/** Large bodies of unverified callers that are held at the same time. */
const MAX_LARGE_BODIES = 16

/**
 * Decides which requests may have a large body. The front does not know the route rules: without a limit, whoever can connect
 * could fill its memory before the coordinator says no.
 */
export class LargeBodies {
  readonly #held = new Set<ServerResponse>()

  /** Makes room for a request's body, until its response is closed. @returns whether there is any */
  enter({ socket }: Pick<IncomingMessage, 'socket'>, response: ServerResponse): boolean {
    // Whoever has a certificate is not kept out by those who have none.
    if (socket instanceof TLSSocket && socket.authorized) return true
    if (this.#held.size >= MAX_LARGE_BODIES) return false
    this.#held.add(response)
    response.once('close', () => this.#held.delete(response))
    return true
  }
}
