/** Idempotency keys, each bound to an execution. A key is kept as long as its execution. */
export class IdempotencyKeyStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** The execution that a key is bound to; null when it is free. */
  bound(workflow: string, caller: string, key: string): { bodyHash: string; execution: string } | null {
    const row = this.#sql
      .exec<{ body_hash: string; execution: string }>(
        'SELECT body_hash, execution FROM idempotency_keys WHERE workflow = ? AND caller = ? AND key = ?',
        workflow,
        caller,
        key,
      )
      .toArray()[0]
    return row === undefined ? null : { bodyHash: row.body_hash, execution: row.execution }
  }

  /** Binds a key to an execution. */
  bind(workflow: string, caller: string, key: string, bodyHash: string, execution: string): void {
    this.#sql.exec(
      'INSERT INTO idempotency_keys (workflow, caller, key, body_hash, execution) VALUES (?, ?, ?, ?, ?)',
      workflow,
      caller,
      key,
      bodyHash,
      execution,
    )
  }

  /** Frees the keys of an execution. */
  release(execution: string): void {
    this.#sql.exec('DELETE FROM idempotency_keys WHERE execution = ?', execution)
  }

  /** Deletes the keys of executions with ids below `id`. */
  deleteBefore(id: string): void {
    this.#sql.exec('DELETE FROM idempotency_keys WHERE execution < ?', id)
  }
}
