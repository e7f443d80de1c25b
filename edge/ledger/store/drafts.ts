/** Triggers and decisions of executions that are not admitted yet; see the table `drafts`. */
export class DraftStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  put(execution: string, draft: object): void {
    this.#sql.exec(
      'INSERT INTO drafts (execution, document) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET document = ?2',
      execution,
      JSON.stringify(draft),
    )
  }

  /** What {@link put} was given. */
  get<Draft>(execution: string): Draft | null {
    const row = this.#sql
      .exec<{ document: string }>('SELECT document FROM drafts WHERE execution = ?', execution)
      .toArray()[0]
    return row === undefined ? null : (JSON.parse(row.document) as Draft)
  }

  remove(execution: string): void {
    this.#sql.exec('DELETE FROM drafts WHERE execution = ?', execution)
  }
}
