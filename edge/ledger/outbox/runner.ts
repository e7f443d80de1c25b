/** Runs the outbox's steps: those that are due, at most one at a time for each execution. */
import pLimit from 'p-limit'
import { log, messageOf } from '../../../shared/log.ts'
import { ATTEMPT_TIMEOUT_MS } from '../admission/new-execution.ts'
import type { LedgerStore } from '../store/store.ts'
import type { OutboxContext } from './context.ts'
import { step } from './outbox.ts'
import type { Waiters } from './waiters.ts'

/** Executions that one run handles, and how many of them at the same time. */
const BATCH = { size: 256, parallel: 16 }
/** After this time a run begins no further step, so that what came due meanwhile gets its turn. */
const RUN_TIMEOUT_MS = 4000
/** Time between two checks of an open execution; grows with their number so that Temporal isn't flooded. */
const CHECK_INTERVAL_MS = { base: 5000, perOpen: 50, max: 25_000 }
/** A host may report an end before Temporal knows of it: how often, and how soon, Temporal is asked again. */
const HINT_CHECKS = { count: 5, intervalMs: 1000 }

/** What the runner needs of its ledger besides what each step does. */
export interface RunnerContext extends Omit<OutboxContext, 'checkInterval' | 'now'> {
  waiters: Waiters
  /** Sets the alarm for what is due next. */
  arm: () => void
}

export class OutboxRunner {
  readonly #store: LedgerStore
  readonly #runner: RunnerContext
  readonly #context: OutboxContext
  /** Steps in progress, so that the request and the alarm never handle one execution at the same time. */
  readonly #inProgress = new Map<string, Promise<void>>()
  readonly #hints = new Map<string, number>()
  #checkInterval = CHECK_INTERVAL_MS.base

  constructor(context: RunnerContext) {
    this.#store = context.store
    this.#runner = context
    this.#context = { ...context, now: () => Date.now(), checkInterval: () => this.#checkInterval }
  }

  /** What steps need; also for changes of executions outside of a step. */
  get context(): OutboxContext {
    return this.#context
  }

  /** Makes the steps that are due. */
  async run(): Promise<void> {
    const { base, perOpen, max } = CHECK_INTERVAL_MS
    this.#checkInterval = Math.min(base + perOpen * this.#store.usage.openCount(), max)
    const now = Date.now()
    const nextAttempt = now + ATTEMPT_TIMEOUT_MS
    const due = this.#store.schedule.takeDue(now, BATCH.size, nextAttempt, now + this.#checkInterval)
    const untouched = new Set(due)
    await pLimit(BATCH.parallel).map(due, async (id) => {
      if (Date.now() - now > RUN_TIMEOUT_MS) return
      untouched.delete(id)
      await this.step(id)
    })
    this.#store.schedule.putBack([...untouched], now)
  }

  /**
   * Makes one step after those in progress for the same execution. One that throws is logged and retried later.
   *
   * @param firstAttempt true when the row was written as already attempted and the attempt is to be made now
   */
  step(id: string, firstAttempt = false): Promise<void> {
    const run = (this.#inProgress.get(id) ?? Promise.resolve())
      .then(() => step(this.#context, id, firstAttempt))
      .catch((error: unknown) => this.#postpone(id, error))
      .then(() => this.#afterStep(id))
      .finally(() => {
        if (this.#inProgress.get(id) === run) this.#inProgress.delete(id)
      })
    this.#inProgress.set(id, run)
    return run
  }

  /** A host reported that these ended: Temporal is asked now, and some more times. */
  hintClosed(ids: readonly string[]): void {
    const open = ids.filter((id) => this.#store.executions.isOpen(id))
    for (const id of open) this.#hints.set(id, HINT_CHECKS.count)
    this.#store.schedule.hasten(open, Date.now())
    this.#runner.arm()
  }

  /** Has the oldest open executions of a workflow or node checked now: one of them may have ended without a report. */
  verifyOpen(workflow: string, node: string | null): void {
    this.#store.schedule.hasten(this.#store.usage.openIds(workflow, node, BATCH.parallel), Date.now())
    this.#runner.arm()
  }

  #postpone(id: string, error: unknown): void {
    log('error', 'step_failed', { execution: id, detail: messageOf(error) })
    const { executions } = this.#store
    const row = executions.get(id)
    if (row !== null && row.closedAt === null) executions.update({ ...row, nextAt: Date.now() + this.#checkInterval })
  }

  #afterStep(id: string): void {
    if (!this.#store.executions.isPending(id)) this.#runner.waiters.wake(id)
    const hints = this.#hints.get(id)
    if (hints !== undefined) {
      const row = this.#store.executions.get(id)
      if (row === null || row.phase === 'closed' || hints <= 1) this.#hints.delete(id)
      else this.#hints.set(id, hints - 1)
      if (row?.phase === 'running') this.#store.schedule.hasten([id], Date.now() + HINT_CHECKS.intervalMs)
    }
    this.#runner.arm()
  }
}
