/** The ledger's tables, as forward-only migrations: a number once released is never edited, only followed. */

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    node TEXT,
    target TEXT NOT NULL,
    task_queue TEXT NOT NULL,
    forward TEXT NOT NULL,        -- JSON ForwardRecord: all that an attempt sends
    phase TEXT NOT NULL,          -- starting | voiding | running | lost | closed
    status TEXT NOT NULL,         -- as the contract names it
    admitted_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    overdue_at INTEGER,           -- from when on an open one is reported overdue
    attempts INTEGER NOT NULL,
    maybe_sent INTEGER NOT NULL,  -- 1: an attempt may have reached Temporal and started it
    next_at INTEGER,              -- when the outbox looks at it next; null once closed
    run_id TEXT,
    started_at INTEGER,           -- when the start was confirmed
    closed_at INTEGER,
    ending TEXT,                  -- JSON {status, message}: why a start that is being voided ends
    cancel TEXT,                  -- reason of a cancel that Temporal has not acknowledged yet
    result TEXT,
    error TEXT
  ) WITHOUT ROWID;
  CREATE INDEX executions_due ON executions (next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX executions_open ON executions (workflow, node) WHERE closed_at IS NULL;
  CREATE INDEX executions_pending ON executions (workflow, node) WHERE started_at IS NULL AND closed_at IS NULL;

  -- Confirmed starts, numbered without gaps within each scope, so that counting a window of any length takes two
  -- index look-ups however many rows it holds.
  CREATE TABLE starts (
    scope TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (scope, number)
  ) WITHOUT ROWID;
  CREATE INDEX starts_by_time ON starts (scope, at);

  CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    node TEXT,
    outcome TEXT NOT NULL,
    code TEXT,
    caller TEXT NOT NULL,
    at INTEGER NOT NULL,
    document TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE idempotency_keys (
    workflow TEXT NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    execution TEXT NOT NULL,
    PRIMARY KEY (workflow, caller, key)
  ) WITHOUT ROWID;

  CREATE TABLE decision_counts (
    workflow TEXT NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (workflow, outcome, code)
  ) WITHOUT ROWID;
  CREATE TABLE closed_counts (
    workflow TEXT NOT NULL, status TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (workflow, status)
  ) WITHOUT ROWID;
  `,
]

/**
 * Brings the tables to the newest version, in one transaction.
 *
 * @throws when the storage was written by a newer version: reading it with older rules could lose a window
 */
export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    const { sql } = storage
    sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)')
    const version = sql.exec<{ version: number }>('SELECT version FROM schema_version').toArray()[0]?.version ?? 0
    if (version > MIGRATIONS.length) {
      throw new Error(`the ledger's tables are of version ${version}, this coordinator knows ${MIGRATIONS.length}`)
    }
    if (version === MIGRATIONS.length) return
    for (const statements of MIGRATIONS.slice(version)) sql.exec(statements)
    sql.exec('DELETE FROM schema_version')
    sql.exec('INSERT INTO schema_version (version) VALUES (?)', MIGRATIONS.length)
  })
}
