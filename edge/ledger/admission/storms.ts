import type { Decision } from '../../../shared/wire.ts'

/** Length of the minutes in which denials are counted, in milliseconds. */
const SPAN = 60_000
/** How many denials alike are recorded one by one in a minute, and how many in all. */
const RECORDED = { alike: 1000, all: 5000 }

interface Group {
  recorded: number
  /** The last one recorded, which stands for all that follow. */
  standing: string
  /** How many it stands for that are not written down yet, and when the last of them came. */
  unwritten: number
  lastAt: number
}

/**
 * Denials in a storm: beyond a number in a minute, those alike are not recorded one by one any more; the last one that
 * was stands for them, and says for how many. Counts are kept in memory and written together.
 */
export class Storms {
  readonly #groups = new Map<string, Group>()
  #since = 0
  #recorded = 0

  /**
   * The record that stands for a denial, or null when it is to be recorded itself.
   *
   * @param now milliseconds since the epoch
   */
  standingFor(decision: Decision, node: string | null, now: number): string | null {
    if (now - this.#since >= SPAN || now < this.#since) this.#begin(now)
    const coarse = [decision.workflow, decision.code, decision.caller].join('\n')
    const key = this.#recorded < RECORDED.all ? `${coarse}\n${node ?? ''}` : coarse
    const group = this.#groups.get(key) ?? { recorded: 0, standing: decision.id ?? '', unwritten: 0, lastAt: now }
    this.#groups.set(key, group)
    const bound = key === coarse ? 1 : RECORDED.alike
    if (group.recorded < bound) {
      group.recorded += 1
      this.#recorded += 1
      group.standing = decision.id ?? ''
      return null
    }
    group.unwritten += 1
    group.lastAt = now
    return group.standing
  }

  /** Takes what is not written down yet. */
  takeUnwritten(): { id: string; count: number; lastAt: number }[] {
    return [...this.#groups.values()].flatMap((group) => {
      if (group.unwritten === 0) return []
      const taken = { id: group.standing, count: group.unwritten, lastAt: group.lastAt }
      group.unwritten = 0
      return [taken]
    })
  }

  /** Whether something is not written down yet. */
  get hasUnwritten(): boolean {
    return [...this.#groups.values()].some(({ unwritten }) => unwritten > 0)
  }

  /** A new minute. What is not written down is kept. */
  #begin(now: number): void {
    this.#since = now
    this.#recorded = 0
    for (const [key, group] of this.#groups) {
      if (group.unwritten === 0) this.#groups.delete(key)
      else group.recorded = 0
    }
  }
}
