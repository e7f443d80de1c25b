/** The alarm of a ledger: when it rings, and what it does then. */
import pTimeout from 'p-timeout'
import { log, messageOf } from '../../shared/log.ts'
import { reportUsage } from './admission/global.ts'
import type { Storms } from './admission/storms.ts'
import { type EscalationSender, MAX_ESCALATION_WAIT_MS } from './escalation/sender.ts'
import type { OutboxRunner } from './outbox/runner.ts'
import type { Reconciler } from './reconcile/reconciler.ts'
import { forget } from './reconcile/retention.ts'
import type { LedgerStore } from './store/store.ts'

/** Everything but the outbox is given this time in a run; the outbox's next run does not wait for the rest. */
const RUN_TIMEOUT_MS = 4000
/** The alarm rings no more often than this, so that steps are batched under load. */
const ALARM_INTERVAL_MS = 200
/** An alarm that did not ring this long after its time is considered lost, and rescheduled. */
const ALARM_OVERDUE_MS = 10_000
/** A clock that runs back by more than this was set back: what is due later than that was due by the old clock. */
const CLOCK_STEP_MS = 5000
/** No step of the outbox is due later than this, unless the clock was set back. */
const MAX_STEP_WAIT_MS = 90_000
/** Time between two searches for rows that are too old. */
const FORGET_INTERVAL_MS = 10 * 60_000
/** How long the counts of repeated denials are kept in memory only. */
const STORM_WRITE_INTERVAL_MS = 1000
/** Usage reports that are sent in one run, and when one is sent again that was not acknowledged. */
const USAGE_REPORTS = { size: 64, intervalMs: 3000 }

/** What the alarm needs of its ledger. */
export interface AlarmContext {
  ctx: DurableObjectState
  env: Env
  store: LedgerStore
  datacenter: () => string
  outbox: OutboxRunner
  reconciler: Reconciler
  escalations: EscalationSender
  storms: Storms
}

export class LedgerAlarm {
  readonly #context: AlarmContext
  /** When the alarm is known to be set for; null when unknown, as after a start. */
  #setFor: number | null = null
  #isRunning = false
  /** The latest time that the clock has shown. */
  #newestTime = Date.now()
  #forgetAt = Date.now() + FORGET_INTERVAL_MS

  constructor(context: AlarmContext) {
    this.#context = context
    // The clock may have been set back while the object was not running.
    this.#clampDue(Date.now())
  }

  /** Does what is due. */
  async run(): Promise<void> {
    const { outbox, reconciler, escalations } = this.#context
    this.#setFor = null
    this.noticeClock()
    this.#isRunning = true
    try {
      this.writeStorms()
      const rest = Promise.all([this.#sendUsageReports(), escalations.run(), reconciler.auditIfDue()])
      await Promise.all([
        outbox.run(),
        pTimeout<unknown>(rest, { milliseconds: RUN_TIMEOUT_MS, fallback: () => undefined }),
      ])
      this.#forgetIfDue()
    } catch (error) {
      log('error', 'alarm_failed', { detail: messageOf(error) })
    } finally {
      this.#isRunning = false
      this.arm()
    }
  }

  /** Sets the alarm for what is due next, unless it is set at least as early. Belongs to the turn that made it due. */
  arm(): void {
    const at = Math.max(this.#nextDue(), Date.now() + ALARM_INTERVAL_MS)
    const set = this.#setFor
    if (set !== null && set <= at && set > Date.now() - ALARM_OVERDUE_MS) return
    this.#setFor = at
    const { ctx } = this.#context
    ctx.waitUntil(ctx.storage.setAlarm(at))
  }

  /** Sets the alarm again, should it ever have been lost. */
  async revive(): Promise<void> {
    const due = this.#nextDue()
    const set = await this.#context.ctx.storage.getAlarm()
    // Only an alarm that is missing or late is set: to move one that is set, again and again, would stop it for good.
    if (!this.#isRunning && (set === null || set > Math.max(due, Date.now()) + ALARM_OVERDUE_MS)) {
      this.#setFor = null
      this.arm()
    }
  }

  /** After the clock was set back, what is due later by the old clock is due now: else it would wait for as long. */
  noticeClock(): void {
    const now = Date.now()
    if (now < this.#newestTime - CLOCK_STEP_MS) {
      log('warn', 'clock_set_back', { by_ms: this.#newestTime - now })
      this.#newestTime = now
      this.#clampDue(now)
      this.#context.reconciler.clampDue(now)
      this.#forgetAt = Math.min(this.#forgetAt, now + FORGET_INTERVAL_MS)
      this.#setFor = null
      this.arm()
    }
    this.#newestTime = Math.max(this.#newestTime, now)
  }

  /** Writes the counts of repeated denials. */
  writeStorms(): void {
    const { storms, store } = this.#context
    for (const { id, count, lastAt } of storms.takeUnwritten()) store.decisions.repeat(id, count, lastAt)
  }

  #clampDue(now: number): void {
    const { store } = this.#context
    store.schedule.clampDue(now, MAX_STEP_WAIT_MS)
    store.usageReports.hasten(now)
    store.escalations.clampDue(now, MAX_ESCALATION_WAIT_MS)
  }

  #nextDue(): number {
    const { store, reconciler, escalations, storms } = this.#context
    return Math.min(
      store.schedule.nextDue() ?? Number.POSITIVE_INFINITY,
      store.usageReports.nextDue() ?? Number.POSITIVE_INFINITY,
      escalations.nextDue(),
      storms.hasUnwritten ? Date.now() + STORM_WRITE_INTERVAL_MS : Number.POSITIVE_INFINITY,
      this.#forgetAt,
      reconciler.nextDue(),
    )
  }

  /** Reports to GlobalLedgers what they have not acknowledged yet. */
  async #sendUsageReports(): Promise<void> {
    const { env, store, datacenter } = this.#context
    const now = Date.now()
    const due = store.usageReports.takeDue(now, USAGE_REPORTS.size, now + USAGE_REPORTS.intervalMs)
    await Promise.all(
      due.map(async (report) => {
        try {
          await reportUsage(env, datacenter(), report)
          store.usageReports.acknowledge(report)
        } catch (error) {
          log('warn', 'settlement_failed', { execution: report.execution, detail: messageOf(error) })
        }
      }),
    )
  }

  #forgetIfDue(): void {
    const now = Date.now()
    if (now < this.#forgetAt) return
    const { ctx, store } = this.#context
    const more = ctx.storage.transactionSync(() => forget(store, now))
    this.#forgetAt = now + (more ? ALARM_INTERVAL_MS : FORGET_INTERVAL_MS)
  }
}
