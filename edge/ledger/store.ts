/** The ledger's rows: every SQL statement on executions, starts, decisions and keys, and nothing that decides. */
import type { ScopeUse } from '../../shared/constraints.ts'
import type { Decision, Execution, ExecutionError, ExecutionStatus } from '../../shared/wire.ts'
import type { DecisionQuery, ExecutionQuery, ForwardOrder, LedgerMetrics, LedgerPage } from './types.ts'

/** Where an execution stands between admission and end. Only `closed` occupies nothing that counts open ones. */
export type Phase = 'starting' | 'voiding' | 'running' | 'lost' | 'closed'

/** All that an attempt sends, and what it is shown with. */
export interface ForwardRecord extends ForwardOrder {
  datacenter: string
  reason: string | null
  trigger: Decision['trigger']
}

/** One execution as it is stored. Times in milliseconds since the epoch. */
export interface ExecutionRow {
  id: string
  workflow: string
  node: string | null
  target: Execution['target']
  taskQueue: string
  forward: ForwardRecord
  phase: Phase
  status: ExecutionStatus
  admittedAt: number
  validUntil: number
  overdueAt: number | null
  attempts: number
  maybeSent: boolean
  nextAt: number | null
  runId: string | null
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
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  insertExecution(row: ExecutionRow): void {
    this.#sql.exec(
      `INSERT INTO executions (id, workflow, node, target, task_queue, forward, phase, status, admitted_at,
         valid_until, overdue_at, attempts, maybe_sent, next_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.id,
      row.workflow,
      row.node,
      JSON.stringify(row.target),
      row.taskQueue,
      JSON.stringify(row.forward),
      row.phase,
      row.status,
      row.admittedAt,
      row.validUntil,
      row.overdueAt,
      row.attempts,
      row.maybeSent ? 1 : 0,
      row.nextAt,
    )
  }

  execution(id: string): ExecutionRow | null {
    const row = this.#sql.exec<Columns>('SELECT * FROM executions WHERE id = ?', id).toArray()[0]
    return row === undefined ? null : toExecution(row)
  }

  /** Whether an execution is here and has not ended. */
  isOpen(id: string): boolean {
    return this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND closed_at IS NULL', id).toArray().length > 0
  }

  /** Whether an execution's start is not known yet. */
  isPending(id: string): boolean {
    return (
      this.#sql.exec('SELECT 1 FROM executions WHERE id = ? AND started_at IS NULL AND closed_at IS NULL', id).toArray()
        .length > 0
    )
  }

  /** Writes what an outbox step changed. `closed_at` and `started_at` are written by {@link close} and {@link confirm} alone. */
  update(row: ExecutionRow): void {
    this.#sql.exec(
      `UPDATE executions SET phase = ?, status = ?, attempts = ?, maybe_sent = ?, next_at = ?, run_id = ?, ending = ?,
         cancel = ?, error = ? WHERE id = ?`,
      row.phase,
      row.status,
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

  /** Records a confirmed start, in the windows of its workflow and, when it has one, of its node. */
  confirm(id: string, runId: string | null, at: number, nextAt: number): void {
    const row = this.#sql
      .exec<{ workflow: string; node: string | null }>(
        `UPDATE executions SET phase = 'running', status = 'running', run_id = ?, started_at = ?, next_at = ?,
         error = NULL WHERE id = ? AND started_at IS NULL AND closed_at IS NULL RETURNING workflow, node`,
        runId,
        at,
        nextAt,
        id,
      )
      .toArray()[0]
    if (row === undefined) return
    for (const scope of scopesOf(row.workflow, row.node)) {
      // Times never run backwards within a scope, whatever the clock did, so that number order is time order.
      this.#sql.exec(
        `INSERT INTO starts (scope, number, at)
         SELECT ?1, coalesce(max(number), 0) + 1,
           max(?2, coalesce((SELECT at FROM starts WHERE scope = ?1 ORDER BY number DESC LIMIT 1), 0))
         FROM (SELECT number FROM starts WHERE scope = ?1 ORDER BY number DESC LIMIT 1)`,
        scope,
        at,
      )
    }
  }

  /** Ends an execution. Idempotent: only the first end counts. */
  close(id: string, status: ExecutionStatus, at: number, result: unknown, error: ExecutionError | null): boolean {
    const row = this.#sql
      .exec<{ workflow: string }>(
        `UPDATE executions SET phase = 'closed', status = ?, closed_at = ?, next_at = NULL, result = ?, error = ?
       WHERE id = ? AND closed_at IS NULL RETURNING workflow`,
        status,
        at,
        toJson(result),
        toJson(error),
        id,
      )
      .toArray()[0]
    if (row === undefined) return false
    this.#sql.exec(
      `INSERT INTO closed_counts (workflow, status, count) VALUES (?, ?, 1)
       ON CONFLICT DO UPDATE SET count = count + 1`,
      row.workflow,
      status,
    )
    return true
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
    const pending = take('started_at IS NULL AND closed_at IS NULL', limit, nextAttempt)
    return [...pending, ...take('started_at IS NOT NULL', limit - pending.length, nextCheck)]
  }

  /** Puts executions that were taken, and not looked at, back to where they were due. */
  putBack(ids: readonly string[], time: number): void {
    for (const id of ids) {
      this.#sql.exec('UPDATE executions SET next_at = ? WHERE id = ? AND closed_at IS NULL', time, id)
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

  /** Started and not closed executions of a workflow, oldest first. */
  openIds(workflow: string, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        `SELECT id FROM executions WHERE workflow = ? AND closed_at IS NULL AND started_at IS NOT NULL ORDER BY id LIMIT ?`,
        workflow,
        limit,
      )
      .toArray()
      .map((row) => row.id)
  }

  /** Nodes with an open execution of a workflow, or one that started after `time`. */
  nodesInUse(workflow: string, time: number): string[] {
    return this.#sql
      .exec<{ node: string }>(
        `SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND closed_at IS NULL
       UNION SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND started_at > ?2 ORDER BY node`,
        workflow,
        time,
      )
      .toArray()
      .map((row) => row.node)
  }

  pendingCount(): number {
    return this.#sql
      .exec<{ count: number }>(
        'SELECT count(*) AS count FROM executions WHERE started_at IS NULL AND closed_at IS NULL',
      )
      .one().count
  }

  openCount(): number {
    return this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE closed_at IS NULL').one()
      .count
  }

  /** What one constraint counts: the executions of a workflow, on one node or (null) on all. */
  use(workflow: string, node: string | null): ScopeUse {
    const sql = this.#sql
    const scope = node === null ? workflowScope(workflow) : nodeScope(workflow, node)
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
    const firstAfter = (time: number): { number: number } | undefined =>
      sql
        .exec<{ number: number }>(
          'SELECT number FROM starts WHERE scope = ? AND at > ? ORDER BY at, number LIMIT 1',
          scope,
          time,
        )
        .toArray()[0]
    return {
      get open() {
        return count('closed_at IS NULL')
      },
      get pending() {
        return count('started_at IS NULL AND closed_at IS NULL')
      },
      startsAfter(time) {
        const first = firstAfter(time)
        if (first === undefined) return 0
        const last = sql
          .exec<{ number: number }>('SELECT number FROM starts WHERE scope = ? ORDER BY number DESC LIMIT 1', scope)
          .one()
        return last.number - first.number + 1
      },
      startAfter(time, index) {
        const first = firstAfter(time)
        return sql
          .exec<{ at: number }>(
            'SELECT at FROM starts WHERE scope = ? AND number = ?',
            scope,
            (first?.number ?? 0) + index,
          )
          .one().at
      },
    }
  }

  insertDecision(id: string, decision: Decision, node: string | null, at: number): void {
    this.#sql.exec(
      'INSERT INTO decisions (id, workflow, node, outcome, code, caller, at, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      id,
      decision.workflow,
      node,
      decision.outcome,
      decision.code,
      decision.caller,
      at,
      JSON.stringify(decision),
    )
    this.#sql.exec(
      `INSERT INTO decision_counts (workflow, outcome, code, count) VALUES (?, ?, ?, 1)
       ON CONFLICT DO UPDATE SET count = count + 1`,
      decision.workflow,
      decision.outcome,
      decision.code ?? '',
    )
  }

  decision(id: string): Decision | null {
    const row = this.#sql.exec<{ document: string }>('SELECT document FROM decisions WHERE id = ?', id).toArray()[0]
    return row === undefined ? null : (JSON.parse(row.document) as Decision)
  }

  decisions(query: DecisionQuery): LedgerPage<Decision> {
    const { where, bindings } = conditions([
      ['id < ?', query.before],
      ['workflow = ?', query.workflow],
      ['node = ?', query.node],
      ['outcome = ?', query.outcome],
      ['code = ?', query.code],
      ['caller = ?', query.caller],
      ['at >= ?', query.since],
    ])
    const rows = this.#sql.exec<{ document: string }>(
      `SELECT document FROM decisions ${where} ORDER BY id DESC LIMIT ?`,
      ...bindings,
      query.limit + 1,
    )
    return boundedPage(rows, query.limit, ({ document }) => [JSON.parse(document) as Decision, document.length])
  }

  executions(query: ExecutionQuery): LedgerPage<ExecutionRow> {
    const { where, bindings } = conditions([
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
      toExecution(row),
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
      decisions: this.#sql
        .exec<LedgerMetrics['decisions'][number]>('SELECT workflow, outcome, code, count FROM decision_counts')
        .toArray(),
      closed: this.#sql
        .exec<LedgerMetrics['closed'][number]>('SELECT workflow, status, count FROM closed_counts')
        .toArray(),
      open: this.#sql
        .exec<LedgerMetrics['open'][number]>(
          `SELECT workflow, count(*) AS count, coalesce(sum(overdue_at < ?), 0) AS overdue FROM executions
         WHERE closed_at IS NULL GROUP BY workflow`,
          now,
        )
        .toArray(),
      pending: this.pendingCount(),
    }
  }
}

/** The execution as it goes over the wire. */
export function toWire(row: ExecutionRow): Execution {
  return {
    id: row.id,
    workflow: row.workflow,
    workflow_id: row.id,
    run_id: row.runId,
    datacenter: row.forward.datacenter,
    task_queue: row.taskQueue,
    target: row.target,
    status: row.status,
    result: row.result,
    error: row.error,
    admitted_at: new Date(row.admittedAt).toISOString(),
    started_at: row.startedAt === null ? null : new Date(row.startedAt).toISOString(),
    closed_at: row.closedAt === null ? null : new Date(row.closedAt).toISOString(),
  }
}

// Names hold neither "/" nor "@", so scopes of workflows and of nodes can't meet.
function workflowScope(workflow: string): string {
  return workflow
}

function nodeScope(workflow: string, node: string): string {
  return `${workflow}@${node}`
}

function scopesOf(workflow: string, node: string | null): string[] {
  return node === null ? [workflowScope(workflow)] : [workflowScope(workflow), nodeScope(workflow, node)]
}

function conditions(pairs: readonly [string, string | number | undefined][]): {
  where: string
  bindings: (string | number)[]
} {
  const given = pairs.filter((pair): pair is [string, string | number] => pair[1] !== undefined)
  const where = given.length === 0 ? '' : `WHERE ${given.map(([condition]) => condition).join(' AND ')}`
  return { where, bindings: given.map(([, value]) => value) }
}

/** What one page may hold, in characters of JSON: an answer between objects of more than 32 MiB would fail. */
const PAGE_SIZE = 4 * 1024 * 1024

/** Takes at most `limit` rows, and at least one, that together fit into a page. */
function boundedPage<Row, Item>(
  rows: Iterable<Row>,
  limit: number,
  read: (row: Row) => [item: Item, size: number],
): { items: Item[]; more: boolean } {
  const items: Item[] = []
  let size = 0
  for (const row of rows) {
    if (items.length === limit) return { items, more: true }
    const [item, itemSize] = read(row)
    size += itemSize
    if (size > PAGE_SIZE && items.length > 0) return { items, more: true }
    items.push(item)
  }
  return { items, more: false }
}

function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value)
}

function fromJson<Value>(text: SqlStorageValue | undefined): Value | null {
  return typeof text === 'string' ? (JSON.parse(text) as Value) : null
}

function toExecution(row: Columns): ExecutionRow {
  return {
    id: String(row.id),
    workflow: String(row.workflow),
    node: row.node as string | null,
    target: JSON.parse(String(row.target)) as Execution['target'],
    taskQueue: String(row.task_queue),
    forward: JSON.parse(String(row.forward)) as ForwardRecord,
    phase: row.phase as Phase,
    status: row.status as ExecutionStatus,
    admittedAt: Number(row.admitted_at),
    validUntil: Number(row.valid_until),
    overdueAt: row.overdue_at as number | null,
    attempts: Number(row.attempts),
    maybeSent: row.maybe_sent === 1,
    nextAt: row.next_at as number | null,
    runId: row.run_id as string | null,
    startedAt: row.started_at as number | null,
    closedAt: row.closed_at as number | null,
    ending: fromJson(row.ending),
    cancel: row.cancel as string | null,
    result: fromJson(row.result),
    error: fromJson(row.error),
  }
}
