/** Admission by Visibility counts, as it is often published: count what started lately, and start when that is below the limit. */
import type { Temporal } from '../support/temporal.ts'

/** A queue that nobody serves: what is started there does nothing, and ends by its timeout. */
const QUEUE = 'drill-contrast'

export interface VisibilityLimit {
  /** The workflow's type in Temporal. */
  type: string
  value: number
  /** In milliseconds. */
  period: number
}

/** Admits by what Temporal's Visibility counts at the moment, which may lag behind what runs. */
export class VisibilityAdmission {
  readonly #temporal: Temporal
  readonly #limit: VisibilityLimit

  constructor(temporal: Temporal, limit: VisibilityLimit) {
    this.#temporal = temporal
    this.#limit = limit
  }

  /** Starts the workflow under this id, if the count is below the limit; returns whether it did. */
  async trigger(workflowId: string): Promise<boolean> {
    const { type, value, period } = this.#limit
    const since = new Date(Date.now() - period).toISOString()
    const count = await this.#temporal.count(`WorkflowType="${type}" AND StartTime > "${since}"`)
    if (count >= value) return false
    await this.#temporal.start({ workflowId, type, taskQueue: QUEUE, timeout: 5 })
    return true
  }
}
