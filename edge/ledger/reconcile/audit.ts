/**
 * What Temporal shows of a datacenter, compared with the ledger's rows. Visibility may lag behind and proves nothing: it
 * only finds what the ledger doesn't know, and what it should check again.
 */
import { v7 as uuidv7 } from 'uuid'
import { isExecutionId } from '../../../shared/execution-id.ts'
import { log, messageOf } from '../../../shared/log.ts'
import { datacenterQueue, isName, nodeQueue } from '../../../shared/names.ts'
import type { Memo } from '../../permits/memo.ts'
import type { TemporalAnswer, TemporalClient } from '../../temporal/client.ts'
import { CLOCK_TOLERANCE_MS } from '../../temporal/clock.ts'
import { describeSafely } from '../../temporal/describe.ts'
import { executionState, type Listed, listedPage } from '../../temporal/outcome.ts'
import { VOID_WORKFLOW_TYPE } from '../outbox/outbox.ts'
import type { ExecutionRow } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'

/** What an audit needs. Times in milliseconds since the epoch. */
export interface AuditContext {
  store: LedgerStore
  datacenter: string
  namespace: string
  temporal: TemporalClient
  now(): number
  /** The configured workflow of a Temporal workflow type, null when none has it. */
  workflowOfType(type: string): string | null
  /** Whether a workflow's executions are reported to its GlobalLedger. */
  isCentral(workflow: string): boolean
  /** The receiver of a workflow's escalations; null when it has none. */
  receiverOf(workflow: string): string | null
  /** Whether this ledger also counts what runs on queues that belong to no datacenter. */
  isFirst: boolean
  /** The other datacenters of the coordinator, whose ledgers count what runs on their queues. */
  otherDatacenters: readonly string[]
  /** What a memo's proof says; null for one that no key of the coordinator has signed. @throws when there is no key */
  readMemo(proof: string): Promise<Memo | null>
  /** Runs changes in one transaction. */
  transaction(change: () => void): void
}

/** The result of an audit. */
export type AuditResult =
  | { kind: 'done' }
  /** Temporal didn't answer. */
  | { kind: 'unknown'; detail: string }
  /** There is a decision of this ledger's own that it doesn't know: it has lost rows, and has to import again. */
  | { kind: 'incomplete'; execution: string }

/** Executions per page of a list. */
const PAGE_SIZE = 500
/** Executions started this long before a list was requested may be missing from it, so they are requested again. */
const VISIBILITY_LAG_MS = 2 * 60_000

/**
 * Counts everything that Temporal shows of the datacenter since a time, whatever started it, and everything open. Visibility
 * may not show yet what was started just before, so once is not enough.
 */
export async function importAll(context: AuditContext, since: number): Promise<AuditResult> {
  const found = await unknownSince(context, since)
  if (typeof found === 'string') return { kind: 'unknown', detail: found }
  const now = context.now()
  context.transaction(() => {
    for (const chain of found.startedAfterAll) recordStart(context, chain, now)
    for (const { chain, memo } of found.unknown) {
      if (!isKnown(context.store, chain)) adopt(context, chain, memo, now)
    }
  })
  return { kind: 'done' }
}

/** Finds executions that were started without the coordinator, and ended ones that run again. */
export async function audit(context: AuditContext, since: number): Promise<AuditResult> {
  const { store } = context
  const began = context.now()
  const found = await unknownSince(context, since - VISIBILITY_LAG_MS)
  if (typeof found === 'string') return { kind: 'unknown', detail: found }
  context.transaction(() => {
    for (const chain of found.startedAfterAll) recordStart(context, chain, context.now())
  })
  for (const { chain, row } of found.known) {
    const runsAgain = chain.status === null || (row.runId !== null && chain.runId !== row.runId)
    if (row.closedAt !== null && runsAgain) await reopen(context, row)
  }
  for (const { chain, memo } of found.unknown) {
    if (isKnown(store, chain)) continue
    if (memo !== null) return { kind: 'incomplete', execution: chain.workflowId }
    context.transaction(() => {
      adopt(context, chain, null, context.now())
    })
  }
  store.facts.set('audited_until', String(began))
  return { kind: 'done' }
}

/** The runs of one workflow id: begun when the first of them was, and as open or closed as the last. */
type Chain = Listed

/** What Temporal shows, compared with the rows. */
interface Found {
  known: { chain: Chain; row: ExecutionRow }[]
  /** That never started, as the rows say: they are from a backup made before an operator approved. */
  startedAfterAll: Chain[]
  /** With the memo of this coordinator, null for one that it did not admit. */
  unknown: { chain: Chain; memo: Memo | null }[]
}

/**
 * All of the namespace is asked for, not only the datacenter's queues: an execution whose permit was stolen can be started
 * again on any queue.
 */
async function unknownSince(context: AuditContext, since: number): Promise<Found | string> {
  const { store } = context
  const found: Found = { known: [], startedAfterAll: [], unknown: [] }
  const chains = await chainsSince(context, since)
  if (typeof chains === 'string') return chains
  try {
    for (const chain of chains) {
      const row = store.executions.byWorkflowId(chain.workflowId)
      if (row !== null && neverStarted(row) && (await memoOf(context, chain)) !== null) {
        found.startedAfterAll.push(chain)
      } else if (row !== null) found.known.push({ chain, row })
      else if (isConcern(context, chain) && !isKnown(store, chain)) {
        found.unknown.push({ chain, memo: await memoOf(context, chain) })
      }
    }
  } catch (error) {
    return messageOf(error)
  }
  return found
}

async function chainsSince(context: AuditContext, since: number): Promise<Chain[] | string> {
  const query = `StartTime >= "${new Date(since).toISOString()}" OR ExecutionStatus = "Running"`
  const chains = new Map<string, Chain>()
  for (let token: string | null = ''; token !== null; ) {
    const answer: TemporalAnswer = await context.temporal.list(query, PAGE_SIZE, token)
    const page = listedPage(answer)
    if (page === null) return answer.ok === true ? 'an answer that is no list' : answer.message
    for (const item of page.items) {
      // It occupies the id of an execution that never started.
      if (item.type === VOID_WORKFLOW_TYPE && item.taskQueue === VOID_WORKFLOW_TYPE) continue
      chains.set(item.workflowId, joined(chains.get(item.workflowId), item))
    }
    token = page.nextPageToken === '' ? null : page.nextPageToken
  }
  return [...chains.values()].sort((a, b) => a.startedAt - b.startedAt)
}

function joined(known: Chain | undefined, run: Listed): Chain {
  if (known === undefined) return run
  const [first, last] = known.startedAt <= run.startedAt ? [known, run] : [run, known]
  return { ...last, startedAt: first.startedAt, proof: last.proof ?? first.proof }
}

/**
 * Whether an execution that no row knows is counted here: it runs on a queue of the datacenter, or on one of no datacenter
 * and with the type of a workflow. Whether a proof that is not ours is another coordinator's or a forgery can't be known.
 */
function isConcern(context: AuditContext, chain: Chain): boolean {
  const { datacenter, otherDatacenters, isFirst } = context
  if (isQueueOf(datacenter, chain.taskQueue)) return true
  if (!isFirst || otherDatacenters.some((other) => isQueueOf(other, chain.taskQueue))) return false
  return context.workflowOfType(chain.type) !== null
}

function isQueueOf(datacenter: string, taskQueue: string): boolean {
  const queue = datacenterQueue(datacenter)
  return taskQueue === queue || taskQueue.startsWith(`${queue}:`)
}

/** The memo of this coordinator's own that an execution has; null when it has none, or one of another start. */
async function memoOf(context: AuditContext, chain: Chain): Promise<Memo | null> {
  const memo = chain.proof === null ? null : await context.readMemo(chain.proof)
  if (memo === null || !isExecutionId(chain.workflowId)) return null
  const isItsOwn =
    memo.sub === chain.workflowId &&
    memo.namespace === context.namespace &&
    memo.workflow_type === chain.type &&
    memo.task_queue === chain.taskQueue
  return isItsOwn ? memo : null
}

/** Whether the ledger knows an execution, or the one whose child it is. */
function isKnown(store: LedgerStore, { workflowId, rootWorkflowId }: Chain): boolean {
  return [workflowId, rootWorkflowId].some((id) => store.executions.byWorkflowId(id) !== null)
}

/** Takes an execution over: it counts from now on in every window, and as open until it ends. */
function adopt(context: AuditContext, chain: Chain, own: Memo | null, now: number): void {
  const { store, datacenter, namespace } = context
  const workflow = own?.workflow ?? context.workflowOfType(chain.type) ?? chain.type
  const target = own?.target ?? targetOf(datacenter, chain.taskQueue)
  const row: ExecutionRow = {
    id: own === null ? uuidv7({ msecs: chain.startedAt }) : chain.workflowId,
    workflowId: chain.workflowId,
    admitted: own !== null,
    workflow,
    node: target.node ?? null,
    target,
    taskQueue: target.node === undefined ? chain.taskQueue : nodeQueue(datacenter, target.node),
    forward: {
      namespace,
      workflowType: chain.type,
      workflowQueue: chain.taskQueue,
      input: {},
      timeout: 0,
      traceparent: null,
      receiver: context.receiverOf(workflow),
      datacenter,
      reason: null,
      trigger: null,
    },
    ...progressOf(chain, now),
    exclusive: false,
    limits: [],
    central: context.isCentral(workflow),
    admittedAt: chain.startedAt,
    validUntil: chain.startedAt,
    overdueAt: null,
    reopenedAt: null,
    attempts: 1,
    maybeSent: true,
    firstRunId: null,
    namespaceId: null,
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
  store.executions.insert(row)
  store.executions.enterWindows(row, countedAt(chain, now))
  log(own === null ? 'error' : 'warn', own === null ? 'started_past_coordinator' : 'imported', {
    workflow_id: chain.workflowId,
    workflow,
    datacenter,
    task_queue: chain.taskQueue,
    status: row.status,
  })
  if (own === null) store.decisions.countUnadmitted(workflow)
}

/** How far an execution is, by what Temporal shows. */
function progressOf(
  chain: Chain,
  now: number,
): Pick<ExecutionRow, 'phase' | 'status' | 'nextAt' | 'runId' | 'startedAt' | 'closedAt'> {
  const { status, runId, startedAt } = chain
  if (status === null) return { phase: 'running', status: 'running', nextAt: now, runId, startedAt, closedAt: null }
  return { phase: 'closed', status, nextAt: null, runId, startedAt, closedAt: chain.closedAt ?? now }
}

/** Temporal's clock may be behind this one by as much as is tolerated: it counts as if it were. */
function countedAt({ startedAt }: Chain, now: number): number {
  return Math.min(now, startedAt + CLOCK_TOLERANCE_MS)
}

function neverStarted({ phase, startedAt }: ExecutionRow): boolean {
  return startedAt === null && (phase === 'waiting' || phase === 'closed')
}

/** An execution that awaited approval when the rows were saved, and was approved and started later. */
function recordStart({ store }: AuditContext, chain: Chain, now: number): void {
  const row = store.executions.byWorkflowId(chain.workflowId)
  if (row === null || !neverStarted(row)) return
  const started: ExecutionRow = { ...row, ...progressOf(chain, now), attempts: Math.max(row.attempts, 1) }
  if (!store.executions.recordStart(started, countedAt(chain, now))) return
  store.drafts.remove(row.id)
  store.escalations.end(row.id, now)
  log('warn', 'imported', { workflow_id: chain.workflowId, workflow: row.workflow, status: started.status })
}

function targetOf(datacenter: string, taskQueue: string): { node?: string } {
  const prefix = nodeQueue(datacenter, '')
  const node = taskQueue.startsWith(prefix) ? taskQueue.slice(prefix.length) : ''
  return isName(node) ? { node } : {}
}

/** An execution that had ended was reset: it runs again, or ended again, which the next check finds out. */
export async function reopen(
  context: Pick<AuditContext, 'store' | 'temporal' | 'now'>,
  row: ExecutionRow,
): Promise<void> {
  const { store, temporal } = context
  const state = executionState(await describeSafely(temporal, row.workflowId))
  const isReset = state.kind === 'open' || (state.kind === 'closed' && state.runId !== row.runId)
  if (!isReset || store.executions.get(row.id)?.closedAt == null) return
  log('warn', 'reopened', { execution: row.id, workflow: row.workflow, run_id: state.runId })
  store.executions.reopen(row, state.runId, context.now())
}
