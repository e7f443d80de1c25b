import type { FailureUsage } from '../../../shared/constraints.ts'

/** Failures of executions, and the `maxFailure` limits that they have tripped, by scope. */
export class FailureStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  add(scope: string, execution: string, at: number): void {
    this.#sql.exec(
      'INSERT INTO failures (scope, execution, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      scope,
      execution,
      at,
    )
  }

  /** The failures that a `maxFailure` counts in a scope. */
  usage(scope: string): FailureUsage {
    const sql = this.#sql
    return {
      failuresAfter: (time) =>
        sql
          .exec<{ count: number }>('SELECT count(*) AS count FROM failures WHERE scope = ? AND at > ?', scope, time)
          .one().count,
      get trip() {
        return (
          sql.exec<{ at: number; count: number }>('SELECT at, count FROM trips WHERE scope = ?', scope).toArray()[0] ??
          null
        )
      },
    }
  }

  /** Trips a scope, unless it is. @returns whether it was not */
  trip(scope: string, at: number, count: number): boolean {
    const tripped = this.#sql.exec(
      'INSERT INTO trips (scope, at, count) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING scope',
      scope,
      at,
      count,
    )
    return tripped.toArray().length > 0
  }

  /** The newest failures of a scope: the executions that failed. */
  newest(scope: string, limit: number): string[] {
    return this.#sql
      .exec<{ execution: string }>(
        'SELECT execution FROM failures WHERE scope = ? ORDER BY at DESC, execution DESC LIMIT ?',
        scope,
        limit,
      )
      .toArray()
      .map(({ execution }) => execution)
  }

  /**
   * Forgets the failures and trips of a scope, and of all scopes whose names begin with `within`, if given.
   *
   * @returns whether there were any
   */
  reset(scope: string, within: string | null): boolean {
    let cleared = 0
    const forget = (table: string, condition: string, ...values: (string | number)[]): void => {
      const rows = this.#sql.exec(`DELETE FROM ${table} WHERE ${condition} RETURNING scope`, ...values)
      cleared += rows.toArray().length
    }
    for (const table of ['failures', 'trips']) {
      forget(table, 'scope = ?', scope)
      if (within !== null) forget(table, 'substr(scope, 1, ?) = ?', within.length, within)
    }
    return cleared > 0
  }

  /** The scopes that are tripped. */
  tripped(): string[] {
    return this.#sql
      .exec<{ scope: string }>('SELECT scope FROM trips ORDER BY scope')
      .toArray()
      .map(({ scope }) => scope)
  }

  /** The scopes within another, by the beginning of their names, in which something failed or is tripped. */
  scopesWithin(beginning: string): string[] {
    return this.#sql
      .exec<{ scope: string }>(
        `SELECT scope FROM failures WHERE substr(scope, 1, ?1) = ?2
         UNION SELECT scope FROM trips WHERE substr(scope, 1, ?1) = ?2 ORDER BY scope`,
        beginning.length,
        beginning,
      )
      .toArray()
      .map(({ scope }) => scope)
  }

  /** Forgets failures of before `time`. */
  forgetBefore(time: number): void {
    this.#sql.exec('DELETE FROM failures WHERE at < ?', time)
  }
}
