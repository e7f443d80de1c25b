/** A ledger's executions: every SQL statement on them, their starts and their keys, and nothing that decides. */
import type { Constraint } from '../../../shared/config.ts'
import type { ScopeUse } from '../../../shared/constraints.ts'
import type { Decision, Execution, ExecutionError, ExecutionStatus } from '../../../shared/wire.ts'
import type { ExecutionQuery, ForwardOrder, LedgerMetrics, LedgerPage } from '../types.ts'
import { DecisionStore } from './decisions.ts'
import { DraftStore } from './drafts.ts'
import { EscalationStore } from './escalations.ts'
import { FactStore } from './facts.ts'
import { FailureStore } from './failures.ts'
import { FreezeStore } from './freezes.ts'
import { MessageStore } from './messages.ts'
import { boundedPage, conditions, fromJson, toJson } from './rows.ts'
import { scopeName, scopesOf } from './scopes.ts'
import { SettlementStore } from './settlements.ts'
import { Starts } from './starts.ts'

/** Where an execution stands. `waiting` (for approval) and `closed` occupy nothing; all others do. */
export type Phase = 'reserving' | 'waiting' | 'starting' | 'voiding' | 'running' | 'lost' | 'closed'

/** All that an attempt sends, and what it is shown with. */
export interface ForwardRecord extends ForwardOrder {
  datacenter: string
  reason: string | null
  trigger: Decision['trigger']
}

/** One execution as it is stored. Times in milliseconds since the epoch. */
export interface ExecutionRow {
  id: string
  /** In Temporal; the id, but for an execution that was started past the coordinator. */
  workflowId: string
  /** False for one that was started past the coordinator. */
  admitted: boolean
  workflow: string
  node: string | null
  target: Execution['target']
  taskQueue: string
  forward: ForwardRecord
  phase: Phase
  status: ExecutionStatus
  /** Nothing else may be open on its node. */
  exclusive: boolean
  /** What it was judged by. */
  limits: readonly Constraint[]
  /** Whether the workflow's GlobalLedger is told of its start and its end. */
  central: boolean
  admittedAt: number
  validUntil: number
  overdueAt: number | null
  attempts: number
  maybeSent: boolean
  nextAt: number | null
  runId: string | null
  /** Temporal's id of the namespace in which its start was confirmed. */
  namespaceId: string | null
  startedAt: number | null
  closedAt: number | null
  ending: { status: ExecutionStatus; message: string } | null
  cancel: string | null
  result: unknown
  error: ExecutionError | null
}

type Columns = Record<string, SqlStorageValue>

/** Typed access to the tables of one ledger. All methods are synchronous, so that calls in a row form one turn. */
export class LedgerStore {
  readonly decisions: DecisionStore
  readonly drafts: DraftStore
  readonly escalations: EscalationStore
  readonly facts: FactStore
  readonly failures: FailureStore
  readonly freezes: FreezeStore
  readonly messages: MessageStore
  readonly settlements: SettlementStore
  readonly starts: Starts
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.decisions = new DecisionStore(sql)
    this.drafts = new DraftStore(sql)
    this.escalations = new EscalationStore(sql)
    this.facts = new FactStore(sql)
    this.failures = new FailureStore(sql)
    this.freezes = new FreezeStore(sql)
    this.messages = new MessageStore(sql)
    this.settlements = new SettlementStore(sql)
    this.starts = new Starts(sql)
  }

  insertExecution(row: ExecutionRow): void {
    this.#sql.exec(
      `INSERT INTO executions (id, workflow_id, admitted, workflow, node, target, task_queue, forward, phase, status,
         open, exclusive, limits, central, admitted_at, valid_until, overdue_at, attempts, maybe_sent, next_at, run_id,
         namespace_id, started_at, closed_at, error)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.id,
      row.workflowId,
      row.admitted ? 1 : 0,
      row.workflow,
      row.node,
      JSON.stringify(row.target),
      row.taskQueue,
      JSON.stringify(row.forward),
      row.phase,
      row.status,
      occupies(row.phase) ? 1 : 0,
      row.exclusive ? 1 : 0,
      JSON.stringify(row.limits),
      row.central ? 1 : 0,
      row.admittedAt,
      row.validUntil,
      row.overdueAt,
      row.attempts,
      row.maybeSent ? 1 : 0,
      row.nextAt,
      row.runId,
      row.namespaceId,
      row.startedAt,
      row.closedAt,
      toJson(row.error),
    )
  }

  /** Takes back one that was never admitted: it leaves no trace, and its key is free again. */
  removeReserving(id: string): boolean {
    const removed = this.#sql
      .exec("DELETE FROM executions WHERE id = ? AND phase = 'reserving' RETURNING id", id)
      .toArray().length
    if (removed === 0) return false
    this.#sql.exec('DELETE FROM idempotency_keys WHERE execution = ?', id)
    this.drafts.remove(id)
    return true
  }

  execution(id: string): ExecutionRow | null {
    const row = this.#sql.exec<Columns>('SELECT * FROM executions WHERE id = ?', id).toArray()[0]
    return row === undefined ? null : toExecution(row)
  }

  /** Whether an execution is here and has not ended. */
  isOpen(id: string): boolean {
    return this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND open = 1', id).toArray().length > 0
  }

  /** Whether an execution's start is not known yet. */
  isPending(id: string): boolean {
    return (
      this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND started_at IS NULL AND open = 1', id).toArray().length >
      0
    )
  }

  /** The execution with that workflow id in Temporal, whether admitted or not. */
  byWorkflowId(workflowId: string): ExecutionRow | null {
    const own = this.execution(workflowId)
    if (own !== null) return own
    const row = this.#sql
      .exec<Columns>('SELECT * FROM executions WHERE workflow_id = ? AND admitted = 0', workflowId)
      .toArray()[0]
    return row === undefined ? null : toExecution(row)
  }

  /** Writes what a step changed. `closed_at` and `started_at` are written by {@link close} and {@link confirm} alone. */
  update(row: ExecutionRow): void {
    this.#sql.exec(
      `UPDATE executions SET phase = ?, status = ?, open = ?, attempts = ?, maybe_sent = ?, next_at = ?, run_id = ?,
         ending = ?, cancel = ?, error = ? WHERE id = ?`,
      row.phase,
      row.status,
      occupies(row.phase) ? 1 : 0,
      row.attempts,
      row.maybeSent ? 1 : 0,
      row.nextAt,
      row.runId,
      toJson(row.ending),
      row.cancel,
      toJson(row.error),
      row.id,
    )
  }

  /** Notes in which namespace an execution was seen, by Temporal's id. */
  locate(id: string, namespaceId: string): void {
    this.#sql.exec('UPDATE executions SET namespace_id = ? WHERE id = ?', namespaceId, id)
  }

  /**
   * After the clock was set back: makes everything due at `time` that would be so long after it only because of that.
   * What waits for approval has its time by right.
   */
  clampDue(time: number, longest: number): void {
    this.#sql.exec("UPDATE executions SET next_at = ?1 WHERE next_at > ?2 AND phase != 'waiting'", time, time + longest)
    this.settlements.hasten(time)
  }

  /** Gives one that waited what its admission decided; it occupies from now on. */
  place(row: ExecutionRow): void {
    this.update(row)
    this.#sql.exec(
      `UPDATE executions SET exclusive = ?, limits = ?, central = ?, task_queue = ?, forward = ?, admitted_at = ?,
         overdue_at = ? WHERE id = ?`,
      row.exclusive ? 1 : 0,
      JSON.stringify(row.limits),
      row.central ? 1 : 0,
      row.taskQueue,
      JSON.stringify(row.forward),
      row.admittedAt,
      row.overdueAt,
      row.id,
    )
  }

  /**
   * Records a confirmed start, in the windows of its workflow and, when it has one, of its node.
   *
   * @param namespaceId Temporal's id of the namespace that it was sent to, when known
   */
  confirm(id: string, runId: string | null, namespaceId: string | null, at: number, nextAt: number): void {
    const row = this.#sql
      .exec<{ workflow: string; node: string | null; central: number; attempts: number }>(
        `UPDATE executions SET phase = 'running', status = 'running', run_id = ?, namespace_id = ?, started_at = ?,
         next_at = ?, error = NULL WHERE id = ? AND started_at IS NULL AND open = 1
         RETURNING workflow, node, central, attempts`,
        runId,
        namespaceId,
        at,
        nextAt,
        id,
      )
      .toArray()[0]
    if (row === undefined) return
    for (const scope of scopesOf(row.workflow, row.node)) this.starts.append(scope, at, id)
    if (row.central === 1)
      this.settlements.put(id, row.workflow, { startedAt: at, closedAt: null, attempt: row.attempts }, at)
  }

  /** Ends an execution. Idempotent: only the first end counts. */
  close(id: string, status: ExecutionStatus, at: number, result: unknown, error: ExecutionError | null): boolean {
    const row = this.#sql
      .exec<Columns & Ended>(
        `UPDATE executions SET phase = 'closed', open = 0, status = ?, closed_at = ?, next_at = NULL, cancel = NULL,
         result = ?, error = ? WHERE id = ? AND closed_at IS NULL RETURNING workflow, node, central, attempts, started_at`,
        status,
        at,
        toJson(result),
        toJson(error),
        id,
      )
      .toArray()[0]
    if (row === undefined) return false
    if (FAILURES.has(status) && row.started_at !== null) {
      for (const scope of scopesOf(row.workflow, row.node)) this.failures.add(scope, id, at)
    }
    if (row.central === 1) {
      const settlement = { startedAt: row.started_at, closedAt: at, attempt: row.attempts }
      this.settlements.put(id, row.workflow, settlement, at)
    }
    this.drafts.remove(id)
    this.decisions.countClosed(row.workflow, status)
    return true
  }

  /**
   * Enters an execution, that was not started through this ledger, where its start and its end count.
   *
   * @param at when its start counts: no earlier than it was, by this machine's clock
   */
  enterWindows(row: ExecutionRow, at: number): void {
    const scopes = scopesOf(row.workflow, row.node)
    for (const scope of scopes) this.starts.append(scope, at, row.id)
    if (row.closedAt !== null && FAILURES.has(row.status)) {
      for (const scope of scopes) this.failures.add(scope, row.id, row.closedAt)
    }
    if (row.central) {
      const { closedAt, attempts } = row
      this.settlements.put(row.id, row.workflow, { startedAt: at, closedAt, attempt: attempts }, row.admittedAt)
    }
  }

  /** An execution that had ended runs again, as after a reset in Temporal. */
  reopen({ id, workflow, node, startedAt, central, attempts }: ExecutionRow, runId: string | null, now: number): void {
    this.#sql.exec(
      `UPDATE executions SET phase = 'running', status = 'running', open = 1, closed_at = NULL, result = NULL,
         error = NULL, run_id = ?, started_at = coalesce(started_at, ?2), next_at = ?2 WHERE id = ?3`,
      runId,
      now,
      id,
    )
    if (startedAt === null) for (const scope of scopesOf(workflow, node)) this.starts.append(scope, now, id)
    const settlement = { startedAt: startedAt ?? now, closedAt: null, attempt: attempts }
    if (central) this.settlements.put(id, workflow, settlement, now)
  }

  /**
   * Takes the executions that the outbox is to look at by `time`: first those not yet started, then the rest, the
   * longest due first. Should nothing else be written of them, they are due again at `nextAttempt` and `nextCheck`.
   */
  takeDue(time: number, limit: number, nextAttempt: number, nextCheck: number): string[] {
    const take = (condition: string, count: number, nextAt: number): string[] =>
      this.#sql
        .exec<{ id: string }>(
          `UPDATE executions SET next_at = ?1 WHERE id IN (
             SELECT id FROM executions WHERE next_at <= ?2 AND ${condition} ORDER BY next_at LIMIT ?3) RETURNING id`,
          nextAt,
          time,
          count,
        )
        .toArray()
        .map((row) => row.id)
    const pending = take('started_at IS NULL', limit, nextAttempt)
    return [...pending, ...take('started_at IS NOT NULL', limit - pending.length, nextCheck)]
  }

  /** Puts executions that were taken, and not looked at, back to where they were due. */
  putBack(ids: readonly string[], time: number): void {
    for (const id of ids) {
      this.#sql.exec('UPDATE executions SET next_at = ? WHERE id = ? AND next_at IS NOT NULL', time, id)
    }
  }

  /** When the outbox is due next; null when nothing is open. */
  nextDue(): number | null {
    return this.#sql
      .exec<{ next: number | null }>('SELECT min(next_at) AS next FROM executions WHERE next_at IS NOT NULL')
      .one().next
  }

  /** Moves the next look at open, started executions forward to `time`; later ones only. Returns how many it moved. */
  hasten(ids: readonly string[], time: number): number {
    let moved = 0
    for (const id of ids) {
      moved += this.#sql.exec(
        `UPDATE executions SET next_at = ? WHERE id = ? AND next_at > ? AND phase IN ('running', 'lost')`,
        time,
        id,
        time,
      ).rowsWritten
    }
    return moved
  }

  /** Started and open executions of a workflow, or of any workflow on a node; the oldest. */
  openIds(workflow: string, node: string | null, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        `SELECT id FROM executions WHERE workflow = ?1 AND open = 1 AND started_at IS NOT NULL
         UNION SELECT id FROM executions WHERE node = ?2 AND open = 1 AND started_at IS NOT NULL ORDER BY id LIMIT ?3`,
        workflow,
        node,
        limit,
      )
      .toArray()
      .map((row) => row.id)
  }

  /** When the newest execution was admitted; null without any. */
  newestAdmission(): number | null {
    return (
      this.#sql.exec<{ at: number }>('SELECT admitted_at AS at FROM executions ORDER BY id DESC LIMIT 1').toArray()[0]
        ?.at ?? null
    )
  }

  /** Nodes with an open execution of a workflow, or one that started after `time`. */
  nodesInUse(workflow: string, time: number): string[] {
    return this.#sql
      .exec<{ node: string }>(
        `SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND open = 1
       UNION SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND started_at > ?2 ORDER BY node`,
        workflow,
        time,
      )
      .toArray()
      .map((row) => row.node)
  }

  pendingCount(): number {
    return this.#sql
      .exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE open = 1 AND started_at IS NULL')
      .one().count
  }

  openCount(): number {
    return this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE open = 1').one().count
  }

  /** What one constraint counts: the executions of a workflow, on one node or (null) on all. */
  use(workflow: string, node: string | null): ScopeUse {
    const sql = this.#sql
    const { starts } = this
    const scope = scopeName(workflow, node)
    const count = (condition: string): number => {
      const nodeCondition = node === null ? '' : 'AND node = ?'
      const bindings = node === null ? [workflow] : [workflow, node]
      return sql
        .exec<{ count: number }>(
          `SELECT count(*) AS count FROM executions WHERE workflow = ? ${nodeCondition} AND ${condition}`,
          ...bindings,
        )
        .one().count
    }
    return {
      get open() {
        return count('open = 1')
      },
      get pending() {
        return count('open = 1 AND started_at IS NULL')
      },
      startsAfter: (time) => starts.countAfter(scope, time),
      startAfter: (time, index) => starts.timeAfter(scope, time, index),
    }
  }

  /** The open executions on a node, of any workflow. */
  openOnNode(node: string): { workflow: string; exclusive: boolean }[] {
    return this.#sql
      .exec<{ workflow: string; exclusive: number }>(
        'SELECT workflow, exclusive FROM executions WHERE open = 1 AND node = ?',
        node,
      )
      .toArray()
      .map(({ workflow, exclusive }) => ({ workflow, exclusive: exclusive === 1 }))
  }

  /** All nodes with an open execution of any workflow. */
  busyNodes(): string[] {
    return this.#sql
      .exec<{ node: string }>('SELECT DISTINCT node FROM executions WHERE open = 1 AND node IS NOT NULL')
      .toArray()
      .map(({ node }) => node)
  }

  /** Open executions of a workflow that were admitted; from now on its GlobalLedger hears of their ends. */
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

  /** Makes executions that wait to be sent due at `time`. */
  hastenPending(time: number): void {
    this.#sql.exec("UPDATE executions SET next_at = ?1 WHERE phase = 'starting' AND next_at > ?1", time)
  }

  executions(query: ExecutionQuery): LedgerPage<ExecutionRow> {
    const { where, bindings } = conditions([
      // What reserves for the first time was not admitted yet.
      ["NOT (phase = 'reserving' AND status = 'pending')", null],
      ['id < ?', query.before],
      ['workflow = ?', query.workflow],
      ['node = ?', query.node],
      ['status = ?', query.status],
    ])
    const rows = this.#sql.exec<Columns>(
      `SELECT * FROM executions ${where} ORDER BY id DESC LIMIT ?`,
      ...bindings,
      query.limit + 1,
    )
    return boundedPage(rows, query.limit, (row) => [
      { key: String(row.id), item: toExecution(row) },
      [row.target, row.result, row.error].reduce<number>((sum, text) => sum + String(text ?? '').length, 500),
    ])
  }

  boundKey(workflow: string, caller: string, key: string): { bodyHash: string; execution: string } | null {
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

  bindKey(workflow: string, caller: string, key: string, bodyHash: string, execution: string): void {
    this.#sql.exec(
      'INSERT INTO idempotency_keys (workflow, caller, key, body_hash, execution) VALUES (?, ?, ?, ?, ?)',
      workflow,
      caller,
      key,
      bodyHash,
      execution,
    )
  }

  metrics(now: number): LedgerMetrics {
    return {
      ...this.decisions.counts(),
      open: this.#sql
        .exec<LedgerMetrics['open'][number]>(
          `SELECT workflow, count(*) AS count, coalesce(sum(overdue_at < ?), 0) AS overdue FROM executions
         WHERE open = 1 GROUP BY workflow`,
          now,
        )
        .toArray(),
      pending: this.pendingCount(),
      unsettled: this.settlements.count(),
      tripped: this.failures.tripped(),
      frozen: this.freezes.active(now).length,
      escalations: this.escalations.counts(),
    }
  }

  /** How many executions have ended. */
  endedCount(): number {
    return this.#sql
      .exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE closed_at IS NOT NULL')
      .one().count
  }

  /** Forgets ended executions with ids below `id`, the oldest first, with their decisions. @returns how many */
  forgetEnded(id: string, limit: number): number {
    const old = this.#sql
      .exec<{ id: string }>(
        'DELETE FROM executions WHERE id IN (SELECT id FROM executions WHERE closed_at IS NOT NULL AND id < ? ORDER BY id LIMIT ?) RETURNING id',
        id,
        limit,
      )
      .toArray()
    for (const row of old) {
      this.#sql.exec('DELETE FROM decisions WHERE id = ?', row.id)
      this.#sql.exec('DELETE FROM idempotency_keys WHERE execution = ?', row.id)
      this.escalations.forget(row.id)
    }
    return old.length
  }

  /** Forgets keys of executions with ids below `id`. */
  forgetKeys(id: string): void {
    this.#sql.exec('DELETE FROM idempotency_keys WHERE execution < ?', id)
  }
}

interface Ended {
  workflow: string
  node: string | null
  central: number
  attempts: number
  started_at: number | null
}

/** Ends that a `maxFailure` counts. */
const FAILURES: ReadonlySet<ExecutionStatus> = new Set(['failed', 'timed_out', 'terminated'])

function occupies(phase: Phase): boolean {
  return phase !== 'waiting' && phase !== 'closed'
}

/** The execution as it goes over the wire. */
export function toWire(row: ExecutionRow): Execution {
  return {
    id: row.admitted ? row.id : null,
    workflow: row.workflow,
    workflow_id: row.workflowId,
    run_id: row.runId,
    datacenter: row.forward.datacenter,
    task_queue: row.taskQueue,
    target: row.target,
    status: row.status,
    result: row.result,
    error: row.error,
    admitted_at: row.admitted ? new Date(row.admittedAt).toISOString() : null,
    started_at: row.startedAt === null ? null : new Date(row.startedAt).toISOString(),
    closed_at: row.closedAt === null ? null : new Date(row.closedAt).toISOString(),
  }
}

/** Rows from before there were receivers have none. */
function toForward(text: string): ForwardRecord {
  const forward = JSON.parse(text) as Omit<ForwardRecord, 'receiver'> & Partial<Pick<ForwardRecord, 'receiver'>>
  return { ...forward, receiver: forward.receiver ?? null }
}

function toExecution(row: Columns): ExecutionRow {
  return {
    id: String(row.id),
    workflowId: String(row.workflow_id),
    admitted: row.admitted === 1,
    workflow: String(row.workflow),
    node: row.node as string | null,
    target: JSON.parse(String(row.target)) as Execution['target'],
    taskQueue: String(row.task_queue),
    forward: toForward(String(row.forward)),
    phase: row.phase as Phase,
    status: row.status as ExecutionStatus,
    exclusive: row.exclusive === 1,
    limits: JSON.parse(String(row.limits)) as Constraint[],
    central: row.central === 1,
    admittedAt: Number(row.admitted_at),
    validUntil: Number(row.valid_until),
    overdueAt: row.overdue_at as number | null,
    attempts: Number(row.attempts),
    maybeSent: row.maybe_sent === 1,
    nextAt: row.next_at as number | null,
    runId: row.run_id as string | null,
    namespaceId: row.namespace_id as string | null,
    startedAt: row.started_at as number | null,
    closedAt: row.closed_at as number | null,
    ending: fromJson(row.ending),
    cancel: row.cancel as string | null,
    result: fromJson(row.result),
    error: fromJson(row.error),
  }
}
