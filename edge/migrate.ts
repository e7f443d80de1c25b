/** Migrations of the tables of Durable Objects. */

/**
 * Brings the tables of an object to the newest of its versions, in one transaction.
 *
 * @throws when the storage was written by a newer version: reading it with older rules could lose a window
 */
export function migrate(storage: DurableObjectStorage, migrations: readonly string[]): void {
  storage.transactionSync(() => {
    const { sql } = storage
    sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)')
    const version = sql.exec<{ version: number }>('SELECT version FROM schema_version').toArray()[0]?.version ?? 0
    if (version > migrations.length) {
      throw new Error(`the tables are of version ${version}, this coordinator knows ${migrations.length}`)
    }
    if (version === migrations.length) return
    for (const statements of migrations.slice(version)) sql.exec(statements)
    sql.exec('DELETE FROM schema_version')
    sql.exec('INSERT INTO schema_version (version) VALUES (?)', migrations.length)
  })
}
