/**
 * Confirmed starts, numbered without gaps within each scope in the order of their times, so that a window of any length
 * is counted with two index look-ups however many rows it holds.
 */
export class StartStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /**
   * Adds a start to a scope. Times never run backwards within a scope, whatever the clock did: a start is never counted
   * as earlier than one that was added before it.
   */
  append(scope: string, at: number, execution: string): void {
    const last = this.#last(scope)
    this.#sql.exec(
      'INSERT INTO starts (scope, number, at, execution) VALUES (?, ?, ?, ?)',
      scope,
      (last?.number ?? 0) + 1,
      Math.max(at, last?.at ?? 0),
      execution,
    )
  }

  /** Number of starts strictly after `time`. */
  countAfter(scope: string, time: number): number {
    const first = this.#firstAfter(scope, time)
    return first === undefined ? 0 : (this.#last(scope)?.number ?? 0) - first + 1
  }

  /** When the start was that is the `index`-th (from 0, oldest first) of those strictly after `time`. */
  timeAfter(scope: string, time: number, index: number): number {
    const number = (this.#firstAfter(scope, time) ?? 0) + index
    return this.#sql.exec<{ at: number }>('SELECT at FROM starts WHERE scope = ? AND number = ?', scope, number).one()
      .at
  }

  /** Starts of a scope from a number on and after a time, oldest first. */
  from(
    scope: string,
    number: number,
    time: number,
    limit: number,
  ): { number: number; at: number; execution: string }[] {
    return this.#sql
      .exec<{ number: number; at: number; execution: string | null }>(
        'SELECT number, at, execution FROM starts WHERE scope = ? AND number > ? AND at > ? ORDER BY number LIMIT ?',
        scope,
        number,
        time,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, execution: row.execution ?? `${scope}:${row.number}` }))
  }

  /**
   * Forgets starts of before `time`, some at a time; of each scope the newest stays, which carries its numbering on.
   *
   * @returns how many it forgot
   */
  forgetBefore(time: number, limit: number): number {
    return this.#sql.exec(
      `DELETE FROM starts WHERE (scope, number) IN (
         SELECT scope, number FROM starts AS old WHERE at < ?1
           AND number < (SELECT max(number) FROM starts WHERE scope = old.scope) LIMIT ?2)`,
      time,
      limit,
    ).rowsWritten
  }

  #firstAfter(scope: string, time: number): number | undefined {
    return this.#sql
      .exec<{ number: number }>(
        'SELECT number FROM starts WHERE scope = ? AND at > ? ORDER BY at, number LIMIT 1',
        scope,
        time,
      )
      .toArray()[0]?.number
  }

  #last(scope: string): { number: number; at: number } | undefined {
    return this.#sql
      .exec<{ number: number; at: number }>(
        'SELECT number, at FROM starts WHERE scope = ? ORDER BY number DESC LIMIT 1',
        scope,
      )
      .toArray()[0]
  }
}
