/** Who was refused, and how often: kept in memory, since whoever is refused must not be able to fill a disk. */
import QuickLRU from 'quick-lru'
import { REJECTIONS, type Rejection, type RejectionReason } from '../../shared/rejection.ts'

/** Callers that are remembered; the one that was refused longest ago is forgotten first. */
const MAX_CALLERS = 1000
/** Characters of what a caller chose itself. */
const MAX_TEXT_LENGTH = 200

/** The rejections of one process, or on Cloudflare of one isolate, since it started. */
export class Rejections {
  /** By reason, of all callers. */
  readonly totals: Record<RejectionReason, number> = noCounts()
  readonly #callers = new QuickLRU<string, Rejection>({ maxSize: MAX_CALLERS })

  /**
   * Counts one.
   *
   * @param from where it came from: an address, or a node; null when that is not known
   * @param what path of the request, or what a permit was refused for
   * @param now  milliseconds since the epoch
   */
  count(reason: RejectionReason, caller: string, from: string | null, what: string, now: number): void {
    this.totals[reason] += 1
    const key = `${caller} ${from}`
    const known = this.#callers.get(key)
    // Sorted by when it was set, not changed.
    this.#callers.delete(key)
    const counts = known?.counts ?? noCounts()
    counts[reason] += 1
    this.#callers.set(key, {
      caller: caller.slice(0, MAX_TEXT_LENGTH),
      from,
      counts,
      last_at: new Date(now).toISOString(),
      last: what.slice(0, MAX_TEXT_LENGTH),
    })
  }

  /** The callers, the one that was refused last first. */
  list(): Rejection[] {
    return [...this.#callers.entriesDescending()].map(([, rejection]) => rejection)
  }
}

function noCounts(): Record<RejectionReason, number> {
  return Object.fromEntries(REJECTIONS.map((reason) => [reason, 0])) as Record<RejectionReason, number>
}

/** Those since this isolate started. */
export const rejections = new Rejections()
