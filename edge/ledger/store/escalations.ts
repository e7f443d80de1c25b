import type { EscalatedStatus, Escalation } from '../../../shared/wire.ts'

/** One message that is due, or an alert that is to be ended. Times in milliseconds since the epoch. */
export interface DueEscalation {
  execution: string
  status: EscalatedStatus
  /** The receiver's name. */
  receiver: string
  /** JSON of the {@link Escalation}. */
  document: string
  /** Whether the receiver has acknowledged it before. */
  isSent: boolean
  /** When the status had passed, null while it holds. */
  endedAt: number | null
  /** Attempts since it was acknowledged last, this one included. */
  attempts: number
}

/** The outcome of an escalation, as metrics count it. */
export type EscalationOutcome = 'sent' | 'given_up'

/**
 * Escalations of executions: one row per status of an execution, kept as long as the execution, so
 * that no receiver is notified twice.
 */
export class EscalationStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /**
   * Adds an escalation, due at once. A status that was sent before isn't sent again; the alert of one that had ended
   * is active again, and one that had ended before it was sent is sent now.
   */
  put(execution: string, status: EscalatedStatus, receiver: string, message: Escalation): void {
    this.#sql.exec(
      `INSERT INTO escalations (execution, status, receiver, document, at, attempts, next_at)
       VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)
       ON CONFLICT DO UPDATE SET ended_at = NULL,
         document = iif(outcome = 'dropped', ?4, document),
         outcome = nullif(outcome, 'dropped'),
         next_at = iif(outcome = 'given_up', NULL, coalesce(next_at, 0))
       WHERE ended_at IS NOT NULL`,
      execution,
      status,
      receiver,
      JSON.stringify(message),
      Date.parse(message.at),
    )
  }

  /** Ends the statuses that an execution has left: what was not sent yet is dropped. */
  end(execution: string, now: number): void {
    this.#sql.exec(
      `UPDATE escalations SET ended_at = ?1,
         next_at = CASE WHEN outcome IS NULL AND attempts = 0 THEN NULL
           WHEN outcome = 'sent' THEN coalesce(next_at, 0) ELSE next_at END,
         outcome = iif(outcome IS NULL AND attempts = 0, 'dropped', outcome)
       WHERE execution = ?2 AND ${PASSES} AND ended_at IS NULL`,
      now,
      execution,
    )
  }

  /** The receivers for which something is due. */
  receiversDue(now: number): string[] {
    return this.#sql
      .exec<{ receiver: string }>('SELECT DISTINCT receiver FROM escalations WHERE next_at <= ?', now)
      .toArray()
      .map(({ receiver }) => receiver)
  }

  /** Takes what is due for a receiver, the oldest first; it is due again at `nextAt` should nothing come of it. */
  takeDue(receiver: string, now: number, limit: number, nextAt: number): DueEscalation[] {
    return this.#sql
      .exec<Record<string, SqlStorageValue>>(
        `UPDATE escalations SET next_at = ?1, attempts = attempts + 1 WHERE (execution, status) IN (
           SELECT execution, status FROM escalations WHERE next_at <= ?2 AND receiver = ?3 ORDER BY next_at, at LIMIT ?4)
         RETURNING *`,
        nextAt,
        now,
        receiver,
        limit,
      )
      .toArray()
      .map((row) => ({
        execution: String(row.execution),
        status: row.status as EscalatedStatus,
        receiver: String(row.receiver),
        document: String(row.document),
        isSent: row.outcome === 'sent',
        endedAt: row.ended_at as number | null,
        attempts: Number(row.attempts),
      }))
  }

  /** Takes down that a message was acknowledged, or that there was nothing to send. */
  acknowledge({ execution, status, receiver, endedAt, isSent }: DueEscalation): void {
    this.#sql.exec(
      `UPDATE escalations SET outcome = 'sent', attempts = 0, document = iif(${PASSES}, document, ''),
         next_at = iif(ended_at IS ?3, NULL, 0) WHERE execution = ?1 AND status = ?2`,
      execution,
      status,
      endedAt,
    )
    if (!isSent) this.#count(receiver, 'sent')
  }

  postpone({ execution, status }: DueEscalation, nextAt: number): void {
    this.#sql.exec(
      'UPDATE escalations SET next_at = ? WHERE execution = ? AND status = ? AND next_at IS NOT NULL',
      nextAt,
      execution,
      status,
    )
  }

  /** Takes down that nothing more is tried. */
  giveUp({ execution, status, receiver }: DueEscalation): void {
    this.#sql.exec(
      "UPDATE escalations SET outcome = 'given_up', document = '', next_at = NULL WHERE execution = ? AND status = ?",
      execution,
      status,
    )
    this.#count(receiver, 'given_up')
  }

  /** When something is due next; null when nothing is. */
  nextDue(): number | null {
    return this.#sql
      .exec<{ next: number | null }>('SELECT min(next_at) AS next FROM escalations WHERE next_at IS NOT NULL')
      .one().next
  }

  /** After the clock was set back: makes due at `time` what would be so long after it only because of that. */
  clampDue(time: number, longest: number): void {
    this.#sql.exec('UPDATE escalations SET next_at = ?1 WHERE next_at > ?2', time, time + longest)
  }

  /** Forgets all of an execution. */
  forget(execution: string): void {
    this.#sql.exec('DELETE FROM escalations WHERE execution = ?', execution)
  }

  /** The number of escalations that are due, and the outcomes of the others. */
  counts(): { pending: number; outcomes: { receiver: string; outcome: EscalationOutcome; count: number }[] } {
    return {
      pending: this.#sql
        .exec<{ count: number }>('SELECT count(*) AS count FROM escalations WHERE next_at IS NOT NULL')
        .one().count,
      outcomes: this.#sql
        .exec<{ receiver: string; outcome: EscalationOutcome; count: number }>('SELECT * FROM escalation_counts')
        .toArray(),
    }
  }

  #count(receiver: string, outcome: EscalationOutcome): void {
    this.#sql.exec(
      `INSERT INTO escalation_counts (receiver, outcome, count) VALUES (?, ?, 1)
       ON CONFLICT DO UPDATE SET count = count + 1`,
      receiver,
      outcome,
    )
  }
}

/** Statuses that an execution leaves again without having ended. */
const PASSES = "status IN ('awaiting_approval', 'lost', 'stuck')"
