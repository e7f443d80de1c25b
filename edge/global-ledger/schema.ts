/** The tables of the ledger that counts one workflow over all datacenters, as forward-only migrations. */
export const GLOBAL_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    datacenter TEXT NOT NULL,
    phase TEXT NOT NULL,           -- reserved | running | closed | void
    at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,     -- of the newest usage report
    attempt INTEGER NOT NULL,      -- of the reservation; one that was void can only be made again by a later attempt
    started INTEGER NOT NULL,      -- 1: its start is among the starts
    orphaned INTEGER NOT NULL      -- 1: reserved by a ledger that has lost its disk since
  ) WITHOUT ROWID;
  CREATE INDEX reservations_open ON reservations (phase) WHERE phase IN ('reserved', 'running');
  CREATE TABLE starts (
    scope TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    execution TEXT,
    PRIMARY KEY (scope, number)
  ) WITHOUT ROWID;
  CREATE INDEX starts_by_time ON starts (scope, at);
  -- How far each datacenter's starts were handed in; incarnation names the life of its tables.
  CREATE TABLE datacenters (
    name TEXT PRIMARY KEY, incarnation TEXT NOT NULL, number INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
]
