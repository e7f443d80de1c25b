/**
 * What Temporal shows of a datacenter, compared with the ledger's rows. Visibility may lag behind and proves nothing: it
 * only finds what the ledger doesn't know, and what it should check again.
 */
import { v7 as uuidv7 } from 'uuid'
import { isExecutionId } from '../../../shared/execution-id.ts'
import { log } from '../../../shared/log.ts'
import { datacenterQueue, isName, nodeQueue } from '../../../shared/names.ts'
import type { TemporalAnswer, TemporalClient } from '../../temporal/client.ts'
import { CLOCK_TOLERANCE_MS } from '../../temporal/clock.ts'
import { describeSafely } from '../../temporal/describe.ts'
import { executionState, type Listed, listedPage } from '../../temporal/outcome.ts'
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
  const found = await chainsSince(context, since)
  if (typeof found === 'string') return { kind: 'unknown', detail: found }
  const now = context.now()
  context.transaction(() => {
    for (const chain of found) {
      if (!isKnown(context.store, chain)) adopt(context, chain, now)
    }
  })
  return { kind: 'done' }
}

/** Finds executions that were started without the coordinator, and ended ones that run again. */
export async function audit(context: AuditContext, since: number): Promise<AuditResult> {
  const { store } = context
  const began = context.now()
  const found = await chainsSince(context, since - VISIBILITY_LAG_MS)
  if (typeof found === 'string') return { kind: 'unknown', detail: found }
  for (const chain of found) {
    const row = store.executions.byWorkflowId(chain.workflowId)
    if (row !== null) {
      const runsAgain = chain.status === null || (row.runId !== null && chain.runId !== row.runId)
      if (row.closedAt !== null && runsAgain) await reopen(context, row)
    } else if (!isKnown(store, chain)) {
      if (ownDecision(chain) !== null) return { kind: 'incomplete', execution: chain.workflowId }
      context.transaction(() => {
        adopt(context, chain, context.now())
      })
    }
  }
  store.facts.set('audited_until', String(began))
  return { kind: 'done' }
}

/** The runs of one workflow id: begun when the first of them was, and as open or closed as the last. */
type Chain = Listed

async function chainsSince(context: AuditContext, since: number): Promise<Chain[] | string> {
  const queue = datacenterQueue(context.datacenter)
  const query = `(TaskQueue = "${queue}" OR TaskQueue STARTS_WITH "${queue}:") AND (StartTime >= "${new Date(since).toISOString()}" OR ExecutionStatus = "Running")`
  const chains = new Map<string, Chain>()
  for (let token: string | null = ''; token !== null; ) {
    const answer: TemporalAnswer = await context.temporal.list(query, PAGE_SIZE, token)
    const page = listedPage(answer)
    if (page === null) return answer.ok === true ? 'an answer that is no list' : answer.message
    for (const item of page.items) chains.set(item.workflowId, joined(chains.get(item.workflowId), item))
    token = page.nextPageToken === '' ? null : page.nextPageToken
  }
  return [...chains.values()].sort((a, b) => a.startedAt - b.startedAt)
}

function joined(known: Chain | undefined, run: Listed): Chain {
  if (known === undefined) return run
  const [first, last] = known.startedAt <= run.startedAt ? [known, run] : [run, known]
  return { ...last, startedAt: first.startedAt, memo: last.memo ?? first.memo }
}

/** Whether the ledger knows an execution, or the one whose child it is. */
function isKnown(store: LedgerStore, { workflowId, rootWorkflowId }: Chain): boolean {
  return [workflowId, rootWorkflowId].some((id) => store.executions.byWorkflowId(id) !== null)
}

/** The decision of a coordinator that an execution names as its own. */
function ownDecision({ workflowId, memo }: Chain): Chain['memo'] {
  return memo !== null && memo.decision === workflowId && isExecutionId(workflowId) ? memo : null
}

/** Takes an execution over: it counts from now on in every window, and as open until it ends. */
function adopt(context: AuditContext, chain: Chain, now: number): void {
  const { store, datacenter, namespace } = context
  const own = ownDecision(chain)
  const workflow = own?.workflow ?? context.workflowOfType(chain.type) ?? chain.type
  const target = own?.target ?? chain.memo?.target ?? targetOf(datacenter, chain.taskQueue)
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
    phase: chain.status === null ? 'running' : 'closed',
    status: chain.status ?? 'running',
    exclusive: false,
    limits: [],
    central: context.isCentral(workflow),
    admittedAt: chain.startedAt,
    validUntil: chain.startedAt,
    overdueAt: null,
    attempts: 1,
    maybeSent: true,
    nextAt: chain.status === null ? now : null,
    runId: chain.runId,
    namespaceId: null,
    startedAt: chain.startedAt,
    closedAt: chain.status === null ? null : (chain.closedAt ?? now),
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
  store.executions.insert(row)
  // Temporal's clock may be behind this one by as much as is tolerated: it counts as if it were.
  store.executions.enterWindows(row, Math.min(now, chain.startedAt + CLOCK_TOLERANCE_MS))
  log(own === null ? 'error' : 'warn', own === null ? 'started_past_coordinator' : 'imported', {
    workflow_id: chain.workflowId,
    workflow,
    datacenter,
    task_queue: chain.taskQueue,
    status: row.status,
  })
  if (own === null) store.decisions.countUnadmitted(workflow)
}

function targetOf(datacenter: string, taskQueue: string): { node?: string } {
  const prefix = nodeQueue(datacenter, '')
  const node = taskQueue.startsWith(prefix) ? taskQueue.slice(prefix.length) : ''
  return isName(node) ? { node } : {}
}

/** An execution that had ended was reset: it runs again, or ended again, which the next check finds out. */
async function reopen(context: AuditContext, row: ExecutionRow): Promise<void> {
  const { store, temporal } = context
  const state = executionState(await describeSafely(temporal, row.workflowId))
  const isReset = state.kind === 'open' || (state.kind === 'closed' && state.runId !== row.runId)
  if (!isReset || store.executions.get(row.id)?.closedAt == null) return
  log('warn', 'reopened', { execution: row.id, workflow: row.workflow, run_id: state.runId })
  store.executions.reopen(row, state.runId, context.now())
}
