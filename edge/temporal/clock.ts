/**
 * Compares this machine's clock with Temporal's, by the `Date` of Temporal's answers (RFC 9110, whole seconds): windows
 * are counted by the one and filled by the other.
 */

/** More than this apart, in milliseconds, nothing is admitted or sent. */
export const CLOCK_TOLERANCE_MS = 10_000
/**
 * How long a comparison is good, in milliseconds. Being shorter than the tolerance, a jump of this clock makes the last
 * comparison look older than this, or younger than now: either way it is made again before anything is decided.
 */
const COMPARISON_LIFE_MS = 1000
/** While Temporal doesn't answer it is asked no more often than this, in milliseconds. */
const RETRY_INTERVAL_MS = 3000
/** While the clocks differ they are compared no more often than this, in milliseconds. */
const RECHECK_INTERVAL_MS = 200

/** The last comparison of the two clocks. Times in milliseconds since the epoch, by this machine's clock. */
export class ClockWatch {
  #answeredAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  /** How far this clock is ahead of Temporal's, at least; negative when it is behind. */
  #ahead = 0

  /** Takes the `Date` of an answer. One without, or with nonsense, says nothing. */
  observe(date: string | null, sentAt: number, receivedAt: number): void {
    this.#answeredAt = receivedAt
    // It answers: there is no need to spare it.
    this.#askedAt = Number.NEGATIVE_INFINITY
    const time = date === null ? Number.NaN : Date.parse(date)
    if (Number.isNaN(time)) return
    // The answer was made between sending and receiving, and its date is cut to the second.
    const least = sentAt - (time + 1000)
    const most = receivedAt - time
    this.#ahead = least > 0 ? least : most < 0 ? most : 0
  }

  /** Whether Temporal answered just now, so that what is known of its clock is up to date. */
  isFresh(now: number): boolean {
    return isWithin(now, this.#answeredAt, COMPARISON_LIFE_MS)
  }

  /** Whether Temporal may be asked again: not right after an attempt that failed. */
  mayAsk(now: number): boolean {
    return !isWithin(now, this.#askedAt, this.problem === null ? RETRY_INTERVAL_MS : RECHECK_INTERVAL_MS)
  }

  /** Notes that Temporal is being asked, whether or not it answers. */
  asked(now: number): void {
    this.#askedAt = now
  }

  /** Why nothing may be decided; null while the clocks agree, or nothing is known. */
  get problem(): string | null {
    if (Math.abs(this.#ahead) <= CLOCK_TOLERANCE_MS) return null
    const seconds = Math.round(Math.abs(this.#ahead) / 1000)
    return `this machine's clock is ${seconds} s ${this.#ahead > 0 ? 'ahead of' : 'behind'} Temporal's`
  }
}

/** Whether it is no longer ago than `span`. Clocks of requests at the same time may be a little apart in workerd. */
function isWithin(now: number, then: number, span: number): boolean {
  return now - then > -CLOCK_TOLERANCE_MS / 2 && now - then < span
}
