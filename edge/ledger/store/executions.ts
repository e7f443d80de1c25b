/** The rows of executions, and how their state changes. */
import type { ExecutionError, ExecutionStatus } from '../../../shared/wire.ts'
import type { ExecutionQuery, LedgerPage } from '../types.ts'
import { type Columns, keysUpdatedBy, readRow, writeRow } from './column.ts'
import type { DecisionStore } from './decisions.ts'
import type { DraftStore } from './drafts.ts'
import { EXECUTION_COLUMNS, type ExecutionRow, occupies } from './execution-row.ts'
import type { FailureStore } from './failures.ts'
import type { IdempotencyKeyStore } from './idempotency-keys.ts'
import { boundedPage, conditions, toJson } from './rows.ts'
import { scopesOf } from './scopes.ts'
import type { StartStore } from './starts.ts'
import type { UsageReportStore } from './usage-reports.ts'

type Stored = Record<string, SqlStorageValue>

const COLUMNS: Columns<ExecutionRow> = EXECUTION_COLUMNS
const ALL = Object.keys(COLUMNS) as (keyof ExecutionRow)[]
const STEP = keysUpdatedBy(COLUMNS, 'step')
const ADMISSION = keysUpdatedBy(COLUMNS, 'step', 'admission')
const INSERT = `INSERT INTO executions (${namesOf(ALL).join(', ')}, open) VALUES (${ALL.map(() => '?').join(', ')}, ?)`
const UPDATE_STEP = updateOf(STEP)
const UPDATE_ADMISSION = updateOf(ADMISSION)

/** The stores that change together with an execution's state. */
interface Related {
  decisions: DecisionStore
  drafts: DraftStore
  failures: FailureStore
  keys: IdempotencyKeyStore
  starts: StartStore
  usageReports: UsageReportStore
}

/** Executions of one ledger. All methods are synchronous, so that consecutive calls form one turn. */
export class ExecutionStore {
  readonly #sql: SqlStorage
  readonly #related: Related

  constructor(sql: SqlStorage, related: Related) {
    this.#sql = sql
    this.#related = related
  }

  insert(row: ExecutionRow): void {
    this.#sql.exec(INSERT, ...writeRow(COLUMNS, row, ALL), occupies(row.phase) ? 1 : 0)
  }

  /** Removes one that was never admitted: it leaves no trace, and its key is free again. */
  removeReserving(id: string): boolean {
    const removed = this.#sql
      .exec("DELETE FROM executions WHERE id = ? AND phase = 'reserving' RETURNING id", id)
      .toArray().length
    if (removed === 0) return false
    this.#related.keys.release(id)
    this.#related.drafts.remove(id)
    return true
  }

  get(id: string): ExecutionRow | null {
    const row = this.#sql.exec<Stored>('SELECT * FROM executions WHERE id = ?', id).toArray()[0]
    return row === undefined ? null : readRow(COLUMNS, row)
  }

  /** Whether an execution is in this ledger and has not ended. */
  isOpen(id: string): boolean {
    return this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND open = 1', id).toArray().length > 0
  }

  /** Whether it is not known yet whether an execution starts. */
  isPending(id: string): boolean {
    return (
      this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND started_at IS NULL AND open = 1', id).toArray().length >
      0
    )
  }

  /** The execution with a workflow id in Temporal, whether admitted or not. */
  byWorkflowId(workflowId: string): ExecutionRow | null {
    const own = this.get(workflowId)
    if (own !== null) return own
    const row = this.#sql
      .exec<Stored>('SELECT * FROM executions WHERE workflow_id = ? AND admitted = 0', workflowId)
      .toArray()[0]
    return row === undefined ? null : readRow(COLUMNS, row)
  }

  /** Writes what a step changed. Start and end are written by {@link confirm}, {@link recordStart} and {@link close} only. */
  update(row: ExecutionRow): void {
    this.#sql.exec(UPDATE_STEP, ...writeRow(COLUMNS, row, STEP), occupies(row.phase) ? 1 : 0, row.id)
  }

  /** Writes what the admission of one that was waiting decided; it is open from now on. */
  place(row: ExecutionRow): void {
    this.#sql.exec(UPDATE_ADMISSION, ...writeRow(COLUMNS, row, ADMISSION), occupies(row.phase) ? 1 : 0, row.id)
  }

  /** Records in which namespace an execution was seen, by Temporal's id of it. */
  locate(id: string, namespaceId: string): void {
    this.#sql.exec('UPDATE executions SET namespace_id = ? WHERE id = ?', namespaceId, id)
  }

  /**
   * Records a confirmed start, in the windows of its workflow and, when it has one, of its node.
   *
   * @param namespaceId Temporal's id of the namespace that it was sent to, when known
   */
  confirm(id: string, runId: string | null, namespaceId: string | null, at: number, nextAt: number): void {
    const row = this.#sql
      .exec<{ workflow: string; node: string | null; central: number; attempts: number }>(
        `UPDATE executions SET phase = 'running', status = 'running', run_id = ?1, first_run_id = ?1, namespace_id = ?2,
         started_at = ?3, next_at = ?4, error = NULL WHERE id = ?5 AND started_at IS NULL AND open = 1
         RETURNING workflow, node, central, attempts`,
        runId,
        namespaceId,
        at,
        nextAt,
        id,
      )
      .toArray()[0]
    if (row === undefined) return
    for (const scope of scopesOf(row.workflow, row.node)) this.#related.starts.append(scope, at, id)
    if (row.central === 1)
      this.#related.usageReports.put(id, row.workflow, { startedAt: at, closedAt: null, attempt: row.attempts }, at)
  }

  /** Ends an execution. Idempotent: only the first end counts. */
  close(id: string, status: ExecutionStatus, at: number, result: unknown, error: ExecutionError | null): boolean {
    const row = this.#sql
      .exec<Stored & Ended>(
        `UPDATE executions SET phase = 'closed', open = 0, status = ?, closed_at = ?, next_at = NULL, cancel = NULL,
         result = ?, error = ? WHERE id = ? AND closed_at IS NULL RETURNING workflow, node, admitted, central, attempts,
         started_at`,
        status,
        at,
        toJson(result),
        toJson(error),
        id,
      )
      .toArray()[0]
    if (row === undefined) return false
    // Of what was not admitted, anybody may have chosen the end.
    if (FAILURES.has(status) && row.started_at !== null && row.admitted === 1) {
      for (const scope of scopesOf(row.workflow, row.node)) this.#related.failures.add(scope, id, at)
    }
    if (row.central === 1) {
      const report = { startedAt: row.started_at, closedAt: at, attempt: row.attempts }
      this.#related.usageReports.put(id, row.workflow, report, at)
    }
    this.#related.drafts.remove(id)
    this.#related.decisions.countClosed(row.workflow, status)
    return true
  }

  /**
   * Records the start, and the end if it has one, of an execution that this ledger took for never started.
   *
   * @param at when its start counts
   * @returns false when its start is known: it counts once
   */
  recordStart(row: ExecutionRow, at: number): boolean {
    const { phase, status, runId, startedAt, closedAt, nextAt, attempts, id } = row
    const written = this.#sql
      .exec(
        `UPDATE executions SET phase = ?, status = ?, run_id = ?, started_at = ?, closed_at = ?, next_at = ?, attempts = ?,
         open = ?, maybe_sent = 1, ending = NULL, cancel = NULL, error = NULL WHERE id = ? AND started_at IS NULL
         RETURNING id`,
        phase,
        status,
        runId,
        startedAt,
        closedAt,
        nextAt,
        attempts,
        occupies(phase) ? 1 : 0,
        id,
      )
      .toArray().length
    if (written === 0) return false
    this.enterWindows(row, at)
    return true
  }

  /**
   * Enters an execution, that was not started through this ledger, where its start and its end count.
   *
   * @param at when its start counts: no earlier than it was, by this machine's clock
   */
  enterWindows(row: ExecutionRow, at: number): void {
    const scopes = scopesOf(row.workflow, row.node)
    for (const scope of scopes) this.#related.starts.append(scope, at, row.id)
    if (row.closedAt !== null && row.admitted && FAILURES.has(row.status)) {
      for (const scope of scopes) this.#related.failures.add(scope, row.id, row.closedAt)
    }
    if (row.central) {
      const { closedAt, attempts } = row
      this.#related.usageReports.put(
        row.id,
        row.workflow,
        { startedAt: at, closedAt, attempt: attempts },
        row.admittedAt,
      )
    }
  }

  /** An execution that had ended runs again, as after a reset in Temporal. */
  reopen({ id, workflow, node, startedAt, central, attempts }: ExecutionRow, runId: string | null, now: number): void {
    this.#sql.exec(
      `UPDATE executions SET phase = 'running', status = 'running', open = 1, closed_at = NULL, result = NULL,
         error = NULL, run_id = ?, started_at = coalesce(started_at, ?2), next_at = ?2, reopened_at = ?2 WHERE id = ?3`,
      runId,
      now,
      id,
    )
    if (startedAt === null) for (const scope of scopesOf(workflow, node)) this.#related.starts.append(scope, now, id)
    const report = { startedAt: startedAt ?? now, closedAt: null, attempt: attempts }
    if (central) this.#related.usageReports.put(id, workflow, report, now)
  }

  /** When the newest execution was admitted; null without any. */
  newestAdmission(): number | null {
    return (
      this.#sql.exec<{ at: number }>('SELECT admitted_at AS at FROM executions ORDER BY id DESC LIMIT 1').toArray()[0]
        ?.at ?? null
    )
  }

  /** Open executions of a workflow that were admitted; from now on their ends are reported to its GlobalLedger. */
  handOverOpen(workflow: string): { id: string; admittedAt: number; startedAt: number | null }[] {
    return this.#sql
      .exec<{ id: string; admitted_at: number; started_at: number | null }>(
        `UPDATE executions SET central = 1 WHERE workflow = ? AND open = 1 AND phase != 'reserving'
         RETURNING id, admitted_at, started_at`,
        workflow,
      )
      .toArray()
      .map((row) => ({ id: row.id, admittedAt: row.admitted_at, startedAt: row.started_at }))
  }

  list(query: ExecutionQuery): LedgerPage<ExecutionRow> {
    const { where, bindings } = conditions([
      // What reserves for the first time was not admitted yet.
      ["NOT (phase = 'reserving' AND status = 'pending')", null],
      ['id < ?', query.before],
      ['workflow = ?', query.workflow],
      ['node = ?', query.node],
      ['status = ?', query.status],
    ])
    const rows = this.#sql.exec<Stored>(
      `SELECT * FROM executions ${where} ORDER BY id DESC LIMIT ?`,
      ...bindings,
      query.limit + 1,
    )
    return boundedPage(rows, query.limit, (row) => [
      { key: String(row.id), item: readRow(COLUMNS, row) },
      [row.target, row.result, row.error].reduce<number>((sum, text) => sum + String(text ?? '').length, 500),
    ])
  }

  /** How many executions have ended. */
  endedCount(): number {
    return this.#sql
      .exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE closed_at IS NOT NULL')
      .one().count
  }

  /** Deletes ended executions with ids below `id`, the oldest first. @returns their ids */
  deleteEnded(id: string, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        `DELETE FROM executions WHERE id IN (
           SELECT id FROM executions WHERE closed_at IS NOT NULL AND id < ? ORDER BY id LIMIT ?) RETURNING id`,
        id,
        limit,
      )
      .toArray()
      .map((row) => row.id)
  }
}

interface Ended {
  workflow: string
  node: string | null
  central: number
  attempts: number
  started_at: number | null
}

/** The final statuses that a `maxFailure` counts. */
const FAILURES: ReadonlySet<ExecutionStatus> = new Set(['failed', 'timed_out', 'terminated'])

function namesOf(keys: readonly (keyof ExecutionRow)[]): string[] {
  return keys.map((key) => COLUMNS[key].name)
}

function updateOf(keys: readonly (keyof ExecutionRow)[]): string {
  return `UPDATE executions SET ${namesOf(keys)
    .map((name) => `${name} = ?`)
    .join(', ')}, open = ? WHERE id = ?`
}
