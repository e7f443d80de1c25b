import type { UsageReport } from '../types.ts'

/** A report to a GlobalLedger that it has not acknowledged. */
export interface PendingUsageReport extends UsageReport {
  execution: string
  workflow: string
  attempts: number
}

/** Reports that GlobalLedgers have not acknowledged yet. Of one execution only the newest state matters. */
export class UsageReportStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Records the state of an execution that is to be reported to its GlobalLedger. */
  put(
    execution: string,
    workflow: string,
    { startedAt, closedAt, attempt }: Omit<UsageReport, 'sequence'>,
    now: number,
  ): void {
    this.#sql.exec(
      `INSERT INTO usage_reports (execution, workflow, started_at, closed_at, attempt, sequence, attempts, next_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?7, 0, ?6)
       ON CONFLICT DO UPDATE SET started_at = ?3, closed_at = ?4, attempt = ?5, sequence = ?7, next_at = ?6`,
      execution,
      workflow,
      startedAt,
      closedAt,
      attempt,
      now,
      this.#nextSequence(now),
    )
  }

  /** Takes those that are due, which are due again at `nextAt` should nothing come of it. */
  takeDue(now: number, limit: number, nextAt: number): PendingUsageReport[] {
    return this.#sql
      .exec<Record<string, SqlStorageValue>>(
        `UPDATE usage_reports SET next_at = ?1, attempts = attempts + 1 WHERE execution IN (
           SELECT execution FROM usage_reports WHERE next_at <= ?2 ORDER BY next_at LIMIT ?3) RETURNING *`,
        nextAt,
        now,
        limit,
      )
      .toArray()
      .map((row) => ({
        execution: String(row.execution),
        workflow: String(row.workflow),
        startedAt: row.started_at as number | null,
        closedAt: row.closed_at as number | null,
        attempt: Number(row.attempt),
        sequence: Number(row.sequence),
        attempts: Number(row.attempts),
      }))
  }

  postpone(execution: string, nextAt: number): void {
    this.#sql.exec('UPDATE usage_reports SET next_at = ? WHERE execution = ?', nextAt, execution)
  }

  /** Forgets a message that was taken, unless a newer one took its place. */
  acknowledge({ execution, sequence }: PendingUsageReport): void {
    this.#sql.exec('DELETE FROM usage_reports WHERE execution = ? AND sequence = ?', execution, sequence)
  }

  nextDue(): number | null {
    return this.#sql.exec<{ next: number | null }>('SELECT min(next_at) AS next FROM usage_reports').one().next
  }

  /** Makes those due that are due later than `time`. */
  hasten(time: number): void {
    this.#sql.exec('UPDATE usage_reports SET next_at = ?1 WHERE next_at > ?1', time)
  }

  /** Always grows; it starts at the present time, so that it also grows after the disk was lost. */
  #nextSequence(now: number): number {
    return this.#sql
      .exec<{ value: number }>(
        `INSERT INTO facts (name, value) VALUES ('settlements', ?)
         ON CONFLICT DO UPDATE SET value = value + 1 RETURNING CAST(value AS INTEGER) AS value`,
        now,
      )
      .one().value
  }

  count(): number {
    return this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM usage_reports').one().count
  }
}
