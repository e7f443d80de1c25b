/** Requests that are refused because there are too many: before they cost more than their refusal. */

import { ANONYMOUS, type Caller } from '../../shared/callers.ts'
import type { ServerConfig } from '../../shared/config.ts'
import { ProblemError } from '../http/problem.ts'
import { InFlight, purposeOf, RateLimit } from './rate-limit.ts'

/** Why requests are shed, and how many were since this isolate began. */
export const SHED = { too_many_requests: 0, overloaded: 0 }

/** The limits of one door. */
export class Shedding {
  readonly #inFlight = new InFlight()
  readonly #rate: RateLimit

  constructor({ requests_per_second }: ServerConfig) {
    this.#rate = new RateLimit(requests_per_second)
  }

  /**
   * Lets a request in, whoever makes it.
   *
   * @returns what is to be called when it was answered
   * @throws ProblemError `overloaded`
   */
  enter(method: string, path: string): () => void {
    const leave = this.#inFlight.enter(purposeOf(method, path), Date.now())
    if (leave !== null) return leave
    SHED.overloaded += 1
    throw new ProblemError('overloaded', 'too many requests are being answered at this time')
  }

  /**
   * Counts a request against its caller, an anonymous one by its address where whoever ended TLS tells it.
   *
   * @throws ProblemError `too_many_requests`
   */
  count(caller: Caller, method: string, path: string, request: Request): void {
    const key = caller === ANONYMOUS ? `${ANONYMOUS} ${addressOf(request)}` : caller
    const wait = this.#rate.take(key, purposeOf(method, path), Date.now())
    if (wait === 0) return
    SHED.too_many_requests += 1
    throw new ProblemError('too_many_requests', `${caller} makes too many requests`, {
      headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
    })
  }
}

/** In no header, since every caller may write there what it likes. */
function addressOf(request: Request): string {
  const { clientIp } = (request.cf ?? {}) as { clientIp?: unknown }
  return typeof clientIp === 'string' ? clientIp : ''
}
