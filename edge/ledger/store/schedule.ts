/** When the outbox's next step of each execution is due. Times in milliseconds since the epoch. */
export class OutboxSchedule {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /**
   * Takes the executions whose next step is due by `time`: first those not yet started, then the rest, the max due
   * first. Unless something else is written, they are due again at `nextAttempt` and `nextCheck`.
   */
  takeDue(time: number, limit: number, nextAttempt: number, nextCheck: number): string[] {
    const take = (condition: string, count: number, nextAt: number): string[] =>
      this.#sql
        .exec<{ id: string }>(
          `UPDATE executions SET next_at = ?1 WHERE id IN (
             SELECT id FROM executions WHERE next_at <= ?2 AND ${condition} ORDER BY next_at LIMIT ?3) RETURNING id`,
          nextAt,
          time,
          count,
        )
        .toArray()
        .map((row) => row.id)
    const pending = take('started_at IS NULL', limit, nextAttempt)
    return [...pending, ...take('started_at IS NOT NULL', limit - pending.length, nextCheck)]
  }

  /** Puts executions back whose step was not made. */
  putBack(ids: readonly string[], time: number): void {
    for (const id of ids) {
      this.#sql.exec('UPDATE executions SET next_at = ? WHERE id = ? AND next_at IS NOT NULL', time, id)
    }
  }

  /** When the outbox is due next; null when nothing is open. */
  nextDue(): number | null {
    return this.#sql
      .exec<{ next: number | null }>('SELECT min(next_at) AS next FROM executions WHERE next_at IS NOT NULL')
      .one().next
  }

  /** Moves the next check of started, open executions forward to `time`, unless it is due earlier. @returns how many */
  hasten(ids: readonly string[], time: number): number {
    let moved = 0
    for (const id of ids) {
      moved += this.#sql.exec(
        `UPDATE executions SET next_at = ? WHERE id = ? AND next_at > ? AND phase IN ('running', 'lost')`,
        time,
        id,
        time,
      ).rowsWritten
    }
    return moved
  }

  /** Makes executions that wait to be sent due at `time`. */
  hastenPending(time: number): void {
    this.#sql.exec("UPDATE executions SET next_at = ?1 WHERE phase = 'starting' AND next_at > ?1", time)
  }

  /**
   * After the clock was set back: makes everything due at `time` that would be due more than `max` later only because
   * of that. An execution that awaits approval is due when that expires, however late.
   */
  clampDue(time: number, max: number): void {
    this.#sql.exec("UPDATE executions SET next_at = ?1 WHERE next_at > ?2 AND phase != 'waiting'", time, time + max)
  }
}
