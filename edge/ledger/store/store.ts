/** Typed access to the tables of one ledger: every SQL statement on them, and no decision. */
import type { LedgerMetrics } from '../types.ts'
import { DecisionStore } from './decisions.ts'
import { DraftStore } from './drafts.ts'
import { EscalationStore } from './escalations.ts'
import { ExecutionStore } from './executions.ts'
import { FactStore } from './facts.ts'
import { FailureStore } from './failures.ts'
import { FreezeStore } from './freezes.ts'
import { IdempotencyKeyStore } from './idempotency-keys.ts'
import { MessageStore } from './messages.ts'
import { OutboxSchedule } from './schedule.ts'
import { StartStore } from './starts.ts'
import { UsageStore } from './usage.ts'
import { UsageReportStore } from './usage-reports.ts'

/** The tables of one ledger. All methods are synchronous, so that consecutive calls form one turn. */
export class LedgerStore {
  readonly decisions: DecisionStore
  readonly drafts: DraftStore
  readonly escalations: EscalationStore
  readonly executions: ExecutionStore
  readonly facts: FactStore
  readonly failures: FailureStore
  readonly freezes: FreezeStore
  readonly keys: IdempotencyKeyStore
  readonly messages: MessageStore
  readonly schedule: OutboxSchedule
  readonly starts: StartStore
  readonly usage: UsageStore
  readonly usageReports: UsageReportStore
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.decisions = new DecisionStore(sql)
    this.drafts = new DraftStore(sql)
    this.escalations = new EscalationStore(sql)
    this.facts = new FactStore(sql)
    this.failures = new FailureStore(sql)
    this.freezes = new FreezeStore(sql)
    this.keys = new IdempotencyKeyStore(sql)
    this.messages = new MessageStore(sql)
    this.schedule = new OutboxSchedule(sql)
    this.starts = new StartStore(sql)
    this.usage = new UsageStore(sql, this.starts)
    this.usageReports = new UsageReportStore(sql)
    this.executions = new ExecutionStore(sql, this)
  }

  /** Deletes ended executions with ids below `id`, the oldest first, with all that belongs to them. @returns how many */
  deleteEnded(id: string, limit: number): number {
    const deleted = this.executions.deleteEnded(id, limit)
    for (const execution of deleted) {
      this.decisions.remove(execution)
      this.keys.release(execution)
      this.escalations.forget(execution)
    }
    return deleted.length
  }

  metrics(now: number): LedgerMetrics {
    return {
      ...this.decisions.counts(),
      open: this.#sql
        .exec<LedgerMetrics['open'][number]>(
          `SELECT workflow, count(*) AS count, coalesce(sum(overdue_at < ?), 0) AS overdue,
           coalesce(sum(phase = 'running' AND error IS NOT NULL), 0) AS stuck FROM executions
         WHERE open = 1 GROUP BY workflow`,
          now,
        )
        .toArray(),
      pending: this.usage.pendingCount(),
      unsettled: this.usageReports.count(),
      tripped: this.failures.tripped(),
      frozen: this.freezes.active(now).length,
      escalations: this.escalations.counts(),
    }
  }
}
