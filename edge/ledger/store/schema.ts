/**
 * The tables of a datacenter's ledger, as forward-only migrations: a released one is never edited. A new column of
 * `executions` needs none: it is added from `EXECUTION_COLUMNS`.
 */
export const LEDGER_MIGRATIONS: readonly string[] = [
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
    next_at INTEGER,              -- when the outbox's next step is due; null once closed
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
  `
  ALTER TABLE executions ADD COLUMN workflow_id TEXT NOT NULL DEFAULT '';   -- in Temporal
  ALTER TABLE executions ADD COLUMN admitted INTEGER NOT NULL DEFAULT 1;    -- 0: started past the coordinator
  ALTER TABLE executions ADD COLUMN open INTEGER NOT NULL DEFAULT 0;        -- 1: occupies what counts open ones
  ALTER TABLE executions ADD COLUMN exclusive INTEGER NOT NULL DEFAULT 0;   -- 1: nothing else may be open on its node
  ALTER TABLE executions ADD COLUMN limits TEXT NOT NULL DEFAULT '[]';      -- JSON constraints that it was judged by
  ALTER TABLE executions ADD COLUMN namespace_id TEXT;                      -- Temporal's id of where it was started
  ALTER TABLE executions ADD COLUMN central INTEGER NOT NULL DEFAULT 0;     -- 1: it is reported to its GlobalLedger
  UPDATE executions SET workflow_id = id, open = closed_at IS NULL;
  DROP INDEX executions_open;
  DROP INDEX executions_pending;
  CREATE INDEX executions_open ON executions (workflow, node) WHERE open = 1;
  CREATE INDEX executions_pending ON executions (workflow, node) WHERE open = 1 AND started_at IS NULL;
  CREATE INDEX executions_on_node ON executions (node) WHERE open = 1 AND node IS NOT NULL;
  CREATE INDEX executions_unadmitted ON executions (workflow_id) WHERE admitted = 0;

  ALTER TABLE starts ADD COLUMN execution TEXT;

  -- Executions that failed, timed out or were terminated, per scope, since its last reset.
  CREATE TABLE failures (
    scope TEXT NOT NULL, execution TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (scope, execution)
  ) WITHOUT ROWID;
  CREATE INDEX failures_by_time ON failures (scope, at);
  -- A maxFailure that was reached; stays until an operator resets it.
  CREATE TABLE trips (scope TEXT PRIMARY KEY, at INTEGER NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE freezes (
    id TEXT PRIMARY KEY, workflow TEXT, datacenter TEXT, node TEXT, expires_at INTEGER, document TEXT NOT NULL
  ) WITHOUT ROWID;

  -- What an execution that is not admitted yet needs for that: a waiting one its trigger, a reserving one its decision.
  CREATE TABLE drafts (execution TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;

  -- What a GlobalLedger has not acknowledged yet.
  CREATE TABLE settlements (
    execution TEXT PRIMARY KEY, workflow TEXT NOT NULL, started_at INTEGER, closed_at INTEGER,
    attempt INTEGER NOT NULL, sequence INTEGER NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX settlements_due ON settlements (next_at);

  ALTER TABLE decisions ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;      -- repeated triggers that are counted on it
  ALTER TABLE decisions ADD COLUMN repeated_at INTEGER;
  CREATE INDEX decisions_denied ON decisions (id) WHERE outcome = 'denied';

  CREATE TABLE unadmitted_counts (workflow TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  -- Rows from before were written by a ledger that had nothing to import.
  INSERT INTO facts (name, value) SELECT 'imported', '1' WHERE EXISTS (SELECT 1 FROM decisions);
  `,
  `
  -- Attempts to deliver signed messages, so that none is taken twice. Numbers and times of forgetting grow together.
  CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    webhook TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,           -- the attempt's own time, in seconds
    until INTEGER NOT NULL         -- when it is forgotten
  );
  CREATE UNIQUE INDEX messages_by_attempt ON messages (webhook, id, at);
  CREATE INDEX messages_until ON messages (until);
  `,
  `
  -- Escalations: a row per status of an execution, so that no receiver is notified twice.
  CREATE TABLE escalations (
    execution TEXT NOT NULL,
    status TEXT NOT NULL,
    receiver TEXT NOT NULL,        -- its name; where it is, the configuration says when it is sent
    document TEXT NOT NULL,        -- JSON Escalation; empty once there is nothing more to send
    at INTEGER NOT NULL,           -- since when it is so
    ended_at INTEGER,              -- when the status had passed
    outcome TEXT,                  -- null until it is sent | given_up | dropped (the status ended before it was sent)
    attempts INTEGER NOT NULL,
    next_at INTEGER,               -- null: nothing to send
    PRIMARY KEY (execution, status)
  ) WITHOUT ROWID;
  CREATE INDEX escalations_due ON escalations (next_at) WHERE next_at IS NOT NULL;
  CREATE TABLE escalation_counts (
    receiver TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (receiver, outcome)
  ) WITHOUT ROWID;
  `,
  `
  -- A key goes with its execution.
  CREATE INDEX idempotency_keys_by_execution ON idempotency_keys (execution);
  `,
  `
  -- To settle is an operator's word; these are reports to a GlobalLedger.
  ALTER TABLE settlements RENAME TO usage_reports;
  DROP INDEX settlements_due;
  CREATE INDEX usage_reports_due ON usage_reports (next_at);
  -- A trigger that awaits approval is stored as it came to the ledger.
  UPDATE drafts SET document = json_set(json_extract(document, '$.trigger'),
      '$.start', json_extract(document, '$.order'), '$.validFor', json_extract(document, '$.validFor'))
    WHERE json_type(document, '$.order') = 'object';
  UPDATE drafts SET document = json_set(document, '$.waiting', json_set(json_extract(document, '$.waiting.trigger'),
      '$.start', json_extract(document, '$.waiting.order'), '$.validFor', json_extract(document, '$.waiting.validFor')))
    WHERE json_type(document, '$.waiting.order') = 'object';
  `,
]
