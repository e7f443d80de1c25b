/** Whether a worker can do its work, and if not, what is in the way and since when. */

/** The conditions of readiness. */
export type Condition = 'temporal' | 'coordinator' | 'queues'

/** A condition as `/readyz` shows it; `since` is when it changed (RFC 3339). */
export interface ConditionState {
  ok: boolean
  since: string
  detail: string | null
}

/** The body of `/readyz`. */
export interface ReadinessReport {
  status: 'ready' | 'not_ready'
  conditions: Record<Condition, ConditionState>
}

/** Keeps the conditions of one worker. None holds before it was seen to hold. */
export class Readiness {
  readonly #now: () => number
  readonly #conditions: Record<Condition, ConditionState>

  /** @param now milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now
    const unknown = (detail: string): ConditionState => ({ ok: false, since: this.#time(), detail })
    this.#conditions = {
      temporal: unknown('not connected yet'),
      coordinator: unknown('no heartbeat was sent yet'),
      queues: unknown('not polled yet'),
    }
  }

  /**
   * Notes how a condition is now.
   *
   * @param problem what is wrong; null when nothing is
   * @returns whether it holds now and did not before, or the other way round
   */
  note(condition: Condition, problem: string | null): boolean {
    const before = this.#conditions[condition]
    const ok = problem === null
    const changed = before.ok !== ok
    this.#conditions[condition] = { ok, since: changed ? this.#time() : before.since, detail: problem }
    return changed
  }

  /** Whether one of them holds. */
  holds(condition: Condition): boolean {
    return this.#conditions[condition].ok
  }

  report(): ReadinessReport {
    const ready = Object.values(this.#conditions).every(({ ok }) => ok)
    return { status: ready ? 'ready' : 'not_ready', conditions: { ...this.#conditions } }
  }

  #time(): string {
    return new Date(this.#now()).toISOString()
  }
}
