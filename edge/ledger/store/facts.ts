/** Facts that a ledger keeps about itself. */
type FactName =
  /** The life of these tables: another one after the disk was lost. */
  | 'incarnation'
  /** Set once everything was imported that Temporal shows of the datacenter. */
  | 'imported'
  /** Number of the last settlement. */
  | 'settlements'
  /** Up to when executions were audited, in milliseconds. */
  | 'audited_until'

/** Facts by name. */
export class FactStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  get(name: FactName): string | null {
    return this.#sql.exec<{ value: string }>('SELECT value FROM facts WHERE name = ?', name).toArray()[0]?.value ?? null
  }

  set(name: FactName, value: string): void {
    this.#sql.exec('INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2', name, value)
  }

  unset(name: FactName): void {
    this.#sql.exec('DELETE FROM facts WHERE name = ?', name)
  }
}
