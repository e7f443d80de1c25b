/** Load shedding: refuses requests early when there are too many. */

import { ANONYMOUS, type Caller } from '../../shared/callers.ts'
import type { ServerConfig } from '../../shared/config.ts'
import { networkOf } from '../../shared/network.ts'
import { ProblemError } from '../http/problem.ts'
import { InFlight, purposeOf, RateLimit } from './rate-limit.ts'

/** Requests shed since this isolate started, by reason. */
export const SHED = { too_many_requests: 0, overloaded: 0 }

/** The limits of one listener. */
export class LoadShedding {
  readonly #inFlight = new InFlight()
  readonly #rate: RateLimit

  constructor({ requests_per_second }: ServerConfig) {
    this.#rate = new RateLimit(requests_per_second)
  }

  /**
   * Counts a request as in flight.
   *
   * @returns a function to call once it is answered
   * @throws ProblemError `overloaded`
   */
  enter(method: string, path: string): () => void {
    const leave = this.#inFlight.enter(purposeOf(method, path), Date.now())
    if (leave !== null) return leave
    SHED.overloaded += 1
    throw new ProblemError('overloaded', 'too many requests are in flight')
  }

  /**
   * Counts a request against its caller, an anonymous one by its address (of IPv6 its network) where the TLS terminator
   * passes it on.
   *
   * @throws ProblemError `too_many_requests`
   */
  count(caller: Caller, method: string, path: string, request: Request): void {
    const key = caller === ANONYMOUS ? `${ANONYMOUS} ${networkOf(addressOf(request) ?? '')}` : caller
    const wait = this.#rate.take(key, purposeOf(method, path), Date.now())
    if (wait === 0) return
    SHED.too_many_requests += 1
    throw new ProblemError('too_many_requests', `${caller} makes too many requests`, {
      headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
    })
  }
}

/** Where a request comes from; null when the TLS terminator doesn't say. Not from a header, which any caller can set. */
export function addressOf(request: Request): string | null {
  const { clientIp } = (request.cf ?? {}) as { clientIp?: unknown }
  return typeof clientIp === 'string' ? clientIp : null
}
