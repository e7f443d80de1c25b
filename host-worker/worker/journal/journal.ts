/**
 * What was changed on this host, by whose order and with what outcome: on disk before the change begins and before its
 * outcome is returned, so that a change that is requested twice is made once.
 *
 * An SQLite database in its owner's data directory, in WAL mode and synced at each commit. The worker writes it, and the
 * processes that carry a change to its end without their worker.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { UNKNOWN_BOOT } from '../../process/boot-id.ts'
import { isAlive, type ProcessIdentity } from '../../process/process-identity.ts'
import { takeRoom } from '../../process/sqlite-space.ts'

/** The identity of a change: one scheduled activity of one run, whatever the attempt. */
export interface OrderId {
  /** The execution at the root, which holds the permit. */
  execution: string
  workflowId: string
  runId: string
  activityId: string
}

/** How a change ended: with a result, or with a failure that no retry mends. */
export type Outcome =
  | { kind: 'result'; result: unknown }
  | { kind: 'failure'; type: string; message: string; details?: unknown }

/** The failure type of a change that was cancelled. */
export const CANCELED = 'Canceled'

/** One change. Times in milliseconds since the epoch. */
export interface Change {
  key: string
  execution: string
  /** The node that is changed: mostly this one, but a load balancer's host takes others out of use. */
  subject: string
  /** The change, for the reader: `command restart`. */
  what: string
  bootId: string
  begunAt: number
  /** Counts as in progress until then, whatever process lives: a reboot that was ordered. Null for what lives by its process. */
  until: number | null
  /** The process that makes it; null when none has begun yet. */
  holder: ProcessIdentity | null
  /** How the command ended that the change began with, when the change goes on after it; null before. */
  command: Outcome | null
  /** Null while its end is not known. */
  endedAt: number | null
  outcome: Outcome | null
}

/** The argument of {@link Journal.begin}. */
export interface Intent {
  order: OrderId
  subject: string
  what: string
  bootId: string
  now: number
  until: number | null
  /** Null when a separate process will {@link Journal.claim} it. */
  holder: ProcessIdentity | null
}

/** Another change of the same node comes first: another execution's, or that of a run which was reset, is in progress. */
export class ChangeUnderWay extends Error {
  readonly change: Change

  constructor(change: Change) {
    super(`${change.what} of execution ${change.execution} is in progress`)
    this.change = change
  }
}

/** File of the journal in its directory. */
const FILE = 'journal.sqlite'
/** How long another process may hold the journal, in milliseconds. */
const BUSY_TIMEOUT_MS = 10_000
/** How long what has ended is kept: longer than an order can come late by far. */
const RETENTION_MS = 32 * 24 * 3_600_000
/** How many are kept whatever the clock says: after a boot it may be years ahead for a moment. */
const MIN_KEPT = 1000

/** Room that the journal takes for itself while there is some, in pages. */
const RESERVED_PAGES = 128
/** Pages after which the log is restarted: fewer than its reserved space. */
const CHECKPOINT_PAGES = 32

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
  CREATE TABLE IF NOT EXISTS changes (
    key TEXT PRIMARY KEY,
    execution TEXT NOT NULL,
    subject TEXT NOT NULL,         -- the node that is changed
    what TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    until INTEGER,
    holder_pid INTEGER,
    holder_started TEXT,
    command TEXT,                  -- JSON: how the command ended that a longer change began with
    ended_at INTEGER,
    outcome TEXT                   -- JSON
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS changes_open ON changes (begun_at) WHERE ended_at IS NULL;
  CREATE TABLE IF NOT EXISTS executions (
    id TEXT PRIMARY KEY,
    first_run TEXT NOT NULL,       -- the run that its permit was used by
    seen_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`

/** Name of an order in the journal. */
export function keyOf({ workflowId, runId, activityId }: Omit<OrderId, 'execution'>): string {
  return JSON.stringify([workflowId, runId, activityId])
}

/** A host's journal. Every method throws when the disk fails: what can't be written down is not begun. */
export class Journal {
  readonly directory: string
  readonly #database: DatabaseSync
  /** Ends that the disk did not take, by key; null: withdrawn. Written before anything else is begun. */
  readonly #unwritten = new Map<string, { outcome: Outcome; now: number } | null>()

  /** @param directory made when missing, for its owner alone */
  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#database = new DatabaseSync(join(directory, FILE), { timeout: BUSY_TIMEOUT_MS })
    this.#database.exec(SCHEMA)
  }

  /** Takes the room that it needs when the disk is full later. @throws Error when the disk is full already */
  makeRoom(): void {
    takeRoom(this.#database, RESERVED_PAGES)
  }

  /** A change by its key; null when there is none. */
  find(key: string): Change | null {
    const row = this.#database.prepare('SELECT * FROM changes WHERE key = ?').get(key)
    const unwritten = this.#unwritten.get(key)
    if (row === undefined || unwritten === null) return null
    const change = toChange(row)
    if (unwritten === undefined || change.endedAt !== null) return change
    return { ...change, endedAt: unwritten.now, outcome: unwritten.outcome }
  }

  /**
   * Writes down that a change is about to begin.
   *
   * @returns the change, or the one that an earlier attempt of the same order has written
   * @throws ChangeUnderWay when another execution's is, or one of another run of the same workflow, as after a reset
   */
  begin(intent: Intent): Change {
    const { order, subject, what, bootId, now, until, holder } = intent
    const key = keyOf(order)
    this.#catchUp()
    return this.#transaction(() => {
      const known = this.find(key)
      if (known !== null) return known
      this.#refuseBeside({ key, execution: order.execution, subject }, bootId, now)
      this.#database
        .prepare(
          `INSERT INTO changes (key, execution, subject, what, boot_id, begun_at, until, holder_pid, holder_started)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(key, order.execution, subject, what, bootId, now, until, holder?.pid ?? null, holder?.started ?? null)
      return this.#known(key)
    })
  }

  /**
   * Records that a change which no process has begun is about to begin after all.
   *
   * @param until how long it excludes others until it is claimed
   * @returns the change; another process may have begun or ended it meanwhile
   * @throws ChangeUnderWay as {@link begin}: another may have begun meanwhile
   */
  renew(key: string, bootId: string, now: number, until: number | null): Change {
    this.#catchUp()
    return this.#transaction(() => {
      const change = this.#known(key)
      if (change.holder !== null || change.endedAt !== null) return change
      this.#refuseBeside(change, bootId, now)
      this.#database.prepare('UPDATE changes SET boot_id = ?, until = ? WHERE key = ?').run(bootId, until, key)
      return this.#known(key)
    })
  }

  /**
   * Claims a change that no process has begun; false when one has, when it has ended, or when it no longer excludes others
   * off: who comes that late must not begin beside them.
   */
  claim(key: string, holder: ProcessIdentity, now: number): boolean {
    const sql = `UPDATE changes SET holder_pid = ?, holder_started = ?
                 WHERE key = ? AND holder_pid IS NULL AND ended_at IS NULL AND (until IS NULL OR until > ?)`
    return this.#database.prepare(sql).run(holder.pid, holder.started, key, now).changes === 1
  }

  /** The change of another execution, or of a reset run, that is in the way of one now; null when it could begin. */
  inTheWay(next: { order: OrderId; subject: string }, bootId: string, now: number): Change | null {
    this.#catchUp()
    const { order, subject } = next
    return this.#blocking({ key: keyOf(order), execution: order.execution, subject }, bootId, now)
  }

  /** Ends a change that no process has begun; false when one has, or it has ended. It can't be claimed then. */
  refuse(key: string, outcome: Outcome, now: number): boolean {
    const sql = `UPDATE changes SET ended_at = ?, outcome = ?
                 WHERE key = ? AND holder_pid IS NULL AND ended_at IS NULL`
    return this.#database.prepare(sql).run(now, JSON.stringify(outcome), key).changes === 1
  }

  /** Says who carries an open change out from now on. */
  hold(key: string, holder: ProcessIdentity, bootId: string): void {
    this.#database
      .prepare('UPDATE changes SET holder_pid = ?, holder_started = ?, boot_id = ? WHERE key = ? AND ended_at IS NULL')
      .run(holder.pid, holder.started, bootId, key)
  }

  /** Writes down how the command of an open change ended; the change goes on. */
  report(key: string, command: Outcome): void {
    const sql = 'UPDATE changes SET command = ? WHERE key = ? AND ended_at IS NULL'
    this.#database.prepare(sql).run(JSON.stringify(command), key)
  }

  /** Forgets a change that has done nothing, or may be done again. What the disk does not take is done later. */
  withdraw(key: string): void {
    this.#unwritten.set(key, null)
    this.#catchUp()
  }

  /**
   * Writes down how a change ended; the first word counts. What the disk does not take is remembered, and written later.
   *
   * @returns what is written
   */
  end(key: string, outcome: Outcome, now: number): Change {
    if (!this.#unwritten.has(key)) this.#unwritten.set(key, { outcome, now })
    this.#catchUp()
    return this.#known(key)
  }

  /**
   * Binds an execution's permit to the run that first uses it: when that has ended, no other may begin under its id.
   *
   * @returns whether it is that run
   */
  bind(execution: string, firstRun: string, now: number): boolean {
    return this.#transaction(() => {
      this.#database
        .prepare('INSERT INTO executions (id, first_run, seen_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING')
        .run(execution, firstRun, now)
      const row = this.#database.prepare('SELECT first_run FROM executions WHERE id = ?').get(execution)
      return row?.['first_run'] === firstRun
    })
  }

  /** Whether an execution has begun to change anything from here. */
  hasChanged(execution: string): boolean {
    return this.#database.prepare('SELECT 1 FROM changes WHERE execution = ? LIMIT 1').get(execution) !== undefined
  }

  /** Forgets what ended long ago, but for the last. */
  forget(now: number, keptLast = MIN_KEPT): void {
    const changes = `DELETE FROM changes WHERE ended_at < ? AND key NOT IN (
      SELECT key FROM changes WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT ?)`
    this.#database.prepare(changes).run(now - RETENTION_MS, keptLast)
    const executions = `DELETE FROM executions WHERE seen_at < ? AND id NOT IN (
      SELECT id FROM executions ORDER BY seen_at DESC LIMIT ?)`
    this.#database.prepare(executions).run(now - RETENTION_MS, keptLast)
  }

  close(): void {
    this.#database.close()
  }

  #catchUp(): void {
    for (const [key, end] of this.#unwritten) {
      if (end === null) this.#database.prepare('DELETE FROM changes WHERE key = ? AND ended_at IS NULL').run(key)
      else {
        const sql = 'UPDATE changes SET ended_at = ?, outcome = ? WHERE key = ? AND ended_at IS NULL'
        this.#database.prepare(sql).run(end.now, JSON.stringify(end.outcome), key)
      }
      this.#unwritten.delete(key)
    }
  }

  #refuseBeside(next: Pick<Change, 'key' | 'execution' | 'subject'>, bootId: string, now: number): void {
    const other = this.#blocking(next, bootId, now)
    if (other !== null) throw new ChangeUnderWay(other)
  }

  #blocking(next: Pick<Change, 'key' | 'execution' | 'subject'>, bootId: string, now: number): Change | null {
    return this.#open().find((change) => comesFirst(change, next) && isUnderWay(change, bootId, now)) ?? null
  }

  #open(): Change[] {
    return this.#database.prepare('SELECT * FROM changes WHERE ended_at IS NULL').all().map(toChange)
  }

  #known(key: string): Change {
    const change = this.find(key)
    if (change === null) throw new Error(`the journal has lost ${key}`)
    return change
  }

  #transaction<Result>(work: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      // Some failures have ended it already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }
}

/** Whether a process may still be changing the host. None that began before the last boot is. */
export function isUnderWay(change: Change, bootId: string, now: number): boolean {
  if (change.endedAt !== null || isOfEarlierBoot(change, bootId)) return false
  if (change.until !== null && now < change.until) return true
  return change.holder !== null && isAlive(change.holder)
}

/** Whether the machine has booted since; when that is unknown, it has not. */
export function isOfEarlierBoot(change: Change, bootId: string): boolean {
  return change.bootId !== bootId && change.bootId !== UNKNOWN_BOOT && bootId !== UNKNOWN_BOOT
}

/**
 * Whether a change may not be made beside an open one: those of one node may only if one execution makes both, and was
 * not reset between.
 */
function comesFirst(open: Change, next: Pick<Change, 'key' | 'execution' | 'subject'>): boolean {
  if (open.subject !== next.subject) return false
  if (open.execution !== next.execution) return true
  const [workflowId, runId] = JSON.parse(next.key) as string[]
  const [openWorkflowId, openRunId] = JSON.parse(open.key) as string[]
  return workflowId === openWorkflowId && runId !== openRunId
}

type Row = Record<string, unknown>

function toChange(row: Row): Change {
  const pid = row['holder_pid']
  return {
    key: String(row['key']),
    execution: String(row['execution']),
    subject: String(row['subject']),
    what: String(row['what']),
    bootId: String(row['boot_id']),
    begunAt: Number(row['begun_at']),
    until: row['until'] === null ? null : Number(row['until']),
    holder: pid === null ? null : { pid: Number(pid), started: String(row['holder_started']) },
    command: toOutcome(row['command']),
    endedAt: row['ended_at'] === null ? null : Number(row['ended_at']),
    outcome: toOutcome(row['outcome']),
  }
}

function toOutcome(text: unknown): Outcome | null {
  return typeof text === 'string' ? (JSON.parse(text) as Outcome) : null
}
