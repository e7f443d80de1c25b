import type { Decision } from '../../../shared/wire.ts'

/** The time in which repeated denials are counted. */
const SPAN_MS = 60_000
/** How many equal denials are recorded separately in that time, and how many in all. */
const MAX_RECORDED = { equal: 1000, all: 5000 }

interface Group {
  recorded: number
  /** The id of the last one recorded, on which all that follow are counted. */
  record: string
  /** How many of these are not written yet, and when the last of them came. */
  unwritten: number
  lastAt: number
}

/**
 * Repeated denials: beyond a number in a minute, equal ones are no longer recorded separately but counted on the last one
 * that was. Counts are kept in memory and written together.
 */
export class Storms {
  readonly #groups = new Map<string, Group>()
  #since = 0
  #recorded = 0

  /**
   * The id of the decision that a denial is counted on, or null when it is to be recorded separately.
   *
   * @param now milliseconds since the epoch
   */
  recordFor(decision: Decision, node: string | null, now: number): string | null {
    if (now - this.#since >= SPAN_MS || now < this.#since) this.#begin(now)
    const coarse = [decision.workflow, decision.code, decision.caller].join('\n')
    const key = this.#recorded < MAX_RECORDED.all ? `${coarse}\n${node ?? ''}` : coarse
    const group = this.#groups.get(key) ?? { recorded: 0, record: decision.id ?? '', unwritten: 0, lastAt: now }
    this.#groups.set(key, group)
    const bound = key === coarse ? 1 : MAX_RECORDED.equal
    if (group.recorded < bound) {
      group.recorded += 1
      this.#recorded += 1
      group.record = decision.id ?? ''
      return null
    }
    group.unwritten += 1
    group.lastAt = now
    return group.record
  }

  /** Takes the counts that are not written yet. */
  takeUnwritten(): { id: string; count: number; lastAt: number }[] {
    return [...this.#groups.values()].flatMap((group) => {
      if (group.unwritten === 0) return []
      const taken = { id: group.record, count: group.unwritten, lastAt: group.lastAt }
      group.unwritten = 0
      return [taken]
    })
  }

  /** Whether a count is not written yet. */
  get hasUnwritten(): boolean {
    return [...this.#groups.values()].some(({ unwritten }) => unwritten > 0)
  }

  /** Starts a new span. Counts that are not written yet are kept. */
  #begin(now: number): void {
    this.#since = now
    this.#recorded = 0
    for (const [key, group] of this.#groups) {
      if (group.unwritten === 0) this.#groups.delete(key)
      else group.recorded = 0
    }
  }
}
