/** Counts matches over a sliding window, for each set of labels. Times in milliseconds. */
import { z } from 'zod'
import { type Firing, fingerprintOf, type Observation } from '../observation.ts'
import { printable } from './printable.ts'

/** How many matches within how long make a condition. */
export interface MatchRules {
  count: number
  within: number
}

/** Sets of labels at a time. More are a pattern that takes what is new in each line, such as a time, for a label. */
const MAX_LABEL_SETS = 1000
/** Parts of a window in which matches are counted. They count as long as the oldest of their part does. */
const PARTS = 200
const MAX_SUMMARY_LENGTH = 300

const setSchema = z.object({
  labels: z.record(z.string(), z.string()),
  summary: z.string(),
  times: z.array(z.tuple([z.number(), z.int().min(1)])),
})

/** A window as plain JSON. */
export const matchWindowState = z.object({
  sets: z.array(setSchema).max(MAX_LABEL_SETS),
  overflowed: z.number().nullable(),
})

/** The matches of one set of labels: when, and how many; the newest last. */
type LabelSet = z.output<typeof setSchema>

/** The matches of one detector. */
export class MatchWindow {
  readonly #rules: MatchRules
  readonly #sets = new Map<string, LabelSet>()
  /** When there were last too many sets. */
  #overflowed: number | null

  constructor(rules: MatchRules, state?: z.output<typeof matchWindowState>) {
    this.#rules = rules
    this.#overflowed = state?.overflowed ?? null
    for (const set of state?.sets ?? []) this.#sets.set(fingerprintOf(set.labels), structuredClone(set))
  }

  /**
   * Counts a match.
   *
   * @param at when; need not be later than the last one
   * @param where what was read, in a word or two
   * @returns false when it can't be counted, because there are too many sets of labels
   */
  add(labels: Record<string, string>, at: number, where: string, line: string): boolean {
    const fingerprint = fingerprintOf(labels)
    let set = this.#sets.get(fingerprint)
    if (set === undefined) {
      // Not for each line of a storm.
      if (this.#sets.size >= MAX_LABEL_SETS && this.#overflowed === null) this.#forget(at)
      if (this.#sets.size >= MAX_LABEL_SETS) {
        this.#overflowed = Math.max(at, this.#overflowed ?? 0)
        return false
      }
      set = { labels, summary: '', times: [] }
      this.#sets.set(fingerprint, set)
    }
    set.summary = printable(`${where}: ${line}`, MAX_SUMMARY_LENGTH)
    this.#count(set.times, at)
    return true
  }

  /** The conditions that fire. Unknown while matches could not be counted: they might have had any labels. */
  observe(now: number): Observation {
    this.#forget(now)
    if (this.#overflowed !== null) {
      return {
        unknown: `too many different labels: more than ${MAX_LABEL_SETS} sets; a label takes a new value on nearly every line`,
      }
    }
    const firing: Firing[] = []
    for (const [fingerprint, { labels, summary, times }] of this.#sets) {
      const value = times.reduce((sum, [, number]) => sum + number, 0)
      if (value < this.#rules.count) continue
      firing.push({ fingerprint, labels, annotations: {}, value: String(value), summary })
    }
    return { firing }
  }

  state(): z.output<typeof matchWindowState> {
    return { sets: structuredClone([...this.#sets.values()]), overflowed: this.#overflowed }
  }

  #count(times: LabelSet['times'], at: number): void {
    const after = times.findLastIndex(([time]) => time <= at)
    const entry = times[after]
    // A part begins with its first match: so that what is counted never is older than the window.
    if (entry !== undefined && at - entry[0] < this.#rules.within / PARTS) entry[1] += 1
    else times.splice(after + 1, 0, [at, 1])
  }

  #forget(now: number): void {
    const from = now - this.#rules.within
    for (const [fingerprint, set] of this.#sets) {
      // After the clock was set back, times in the future count as now.
      set.times = set.times.filter(([time]) => time > from).map(([time, number]) => [Math.min(time, now), number])
      if (set.times.length === 0) this.#sets.delete(fingerprint)
    }
    if (this.#overflowed !== null) this.#overflowed = Math.min(this.#overflowed, now)
    if (this.#overflowed !== null && this.#overflowed <= from) this.#overflowed = null
  }
}
