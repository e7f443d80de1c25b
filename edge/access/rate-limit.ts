/** How many requests are taken: of one caller in a time, and of all at once. Times are given, in milliseconds. */

/** The purpose of a request: a trigger may wait; requests of operators and workers must get through. */
export type Purpose = 'trigger' | 'operation'

/** The purpose of a request. */
export function purposeOf(method: string, path: string): Purpose {
  const isTrigger = method === 'POST' && /^\/v1\/(?:workflows\/[^/]+\/(?:executions|evaluate)|triggers\/.+)$/.test(path)
  return isTrigger ? 'trigger' : 'operation'
}

/** How many seconds' worth of requests a caller may make at once, and how many of these may be triggers. */
const BURST_SECONDS = { operation: 5, trigger: 4 }
/** Callers that are remembered at most. */
const MAX_CALLERS = 10_000
/** A request in thousandths, so that whole numbers flow back each millisecond. */
const ONE_REQUEST = 1000

/** How much a caller has used of its burst, in thousandths of a request, at a time. */
interface Bucket {
  used: number
  at: number
}

/** A bucket of requests for each caller, which fills at a steady rate. */
export class RateLimit {
  readonly #rate: number
  readonly #most: number
  /** The one that was used last comes last. */
  readonly #buckets = new Map<string, Bucket>()
  /** Until then no bucket can be full. */
  #noneFullUntil = Number.NEGATIVE_INFINITY

  /** @param rate requests a second that flow back to each caller */
  constructor(rate: number, most = MAX_CALLERS) {
    this.#rate = rate
    this.#most = most
  }

  /** How many callers are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  /**
   * Takes one request out of a caller's bucket, if it is there.
   *
   * @returns 0 when it is, else after how many milliseconds it will be
   */
  take(caller: string, purpose: Purpose, now: number): number {
    const used = this.#usedBy(caller, now)
    const excess = used + ONE_REQUEST - BURST_SECONDS[purpose] * this.#rate * ONE_REQUEST
    if (excess > 0) {
      this.#sinceClockWasSetBack(caller, now)
      return Math.ceil(excess / this.#rate)
    }
    if (!this.#buckets.delete(caller) && this.#buckets.size >= this.#most) this.#makeRoom(now)
    this.#buckets.set(caller, { used: used + ONE_REQUEST, at: now })
    return 0
  }

  #usedBy(caller: string, now: number): number {
    const bucket = this.#buckets.get(caller)
    return bucket === undefined ? 0 : this.#usedOf(bucket, now)
  }

  /** After the clock was set back, requests refill from now on, not only from its earlier time. */
  #sinceClockWasSetBack(caller: string, now: number): void {
    const bucket = this.#buckets.get(caller)
    if (bucket !== undefined && bucket.at > now) bucket.at = now
  }

  /** A clock that was set back makes nothing flow out. */
  #usedOf({ used, at }: Bucket, now: number): number {
    return Math.max(0, used - Math.max(0, now - at) * this.#rate)
  }

  /** Forgets callers whose buckets are full, who are as those that are not known; else the one that came least lately. */
  #makeRoom(now: number): void {
    if (now >= this.#noneFullUntil) {
      let firstFull = Number.POSITIVE_INFINITY
      for (const [caller, bucket] of this.#buckets) {
        const used = this.#usedOf(bucket, now)
        if (used === 0) this.#buckets.delete(caller)
        else firstFull = Math.min(firstFull, now + used / this.#rate)
      }
      this.#noneFullUntil = firstFull
    }
    const oldest = this.#buckets.size < this.#most ? undefined : this.#buckets.keys().next().value
    if (oldest !== undefined) this.#buckets.delete(oldest)
  }
}

/** Requests in flight from which on one more is shed. */
const MAX_IN_FLIGHT = { trigger: 512, operation: 1024 }
/** No request takes as long: one that was not counted out by then was broken off. */
const MAX_REQUEST_MS = 90_000

/** The requests that are being answered. */
export class InFlight {
  readonly #most: Readonly<Record<Purpose, number>>
  /** When each began, the oldest first. */
  readonly #begun = new Map<symbol, number>()

  constructor(most: Readonly<Record<Purpose, number>> = MAX_IN_FLIGHT) {
    this.#most = most
  }

  /** Counts a request in. @returns what counts it out; null when there are too many */
  enter(purpose: Purpose, now: number): (() => void) | null {
    for (const [request, begun] of this.#begun) {
      if (now - begun < MAX_REQUEST_MS) break
      this.#begun.delete(request)
    }
    if (this.#begun.size >= this.#most[purpose]) return null
    const request = Symbol('request')
    this.#begun.set(request, now)
    return () => {
      this.#begun.delete(request)
    }
  }
}
