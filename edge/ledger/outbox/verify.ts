/** Verification of executions that have started: asks Temporal for their state. */
import { STARTED_TOO_LATE } from '../../../shared/failure-types.ts'
import { log } from '../../../shared/log.ts'
import { GRPC, hasDetail, isPathSafe, type TemporalAnswer, type TemporalClient } from '../../temporal/client.ts'
import { describeSafely } from '../../temporal/describe.ts'
import { ending, executionState, REFUSALS } from '../../temporal/outcome.ts'
import { stuckError, stuckTask } from '../../temporal/workflow-task.ts'
import { escalate } from '../escalation/escalate.ts'
import type { ExecutionRow } from '../store/execution-row.ts'
import { close } from './close.ts'
import type { OutboxContext } from './context.ts'

/** Time between two searches for an execution that Temporal doesn't know. */
const LOST_INTERVAL_MS = 60_000
/** Events at the end of a history among which the failure of a workflow task is looked for. */
const LATEST_EVENTS = 20

/**
 * Asks Temporal for the state of an execution, and passes on a cancellation that it has not acknowledged yet. The caller has
 * set the time of the next check already, so that nothing is written while nothing has changed.
 */
export async function verify(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const temporal = context.temporal(row.forward.namespace)
  if (row.cancel !== null) await passCancel(context, temporal, row)
  const described = await describeSafely(temporal, row.workflowId)
  const state = executionState(described)
  const problem = state.kind === 'open' ? await problemOf(context, temporal, row, described) : null
  const present = state.kind === 'absent' ? await context.freshNamespaceId(row.forward.namespace) : null
  const current = context.store.executions.get(row.id)
  if (current === null || current.closedAt !== null) return
  switch (state.kind) {
    case 'open':
      return found(context, current, state.runId, problem)
    case 'closed':
      return ended(context, temporal, current, state)
    case 'absent':
      return absent(context, current, present)
    case 'unknown':
      log('warn', 'check_unknown', { execution: row.id, workflow: row.workflow, detail: state.message })
  }
}

async function passCancel(context: OutboxContext, temporal: TemporalClient, row: ExecutionRow): Promise<void> {
  // Temporal limits the length, and would always refuse a longer text.
  const answer = await temporal.cancel(
    row.workflowId,
    `${row.id}:cancel`,
    (row.cancel ?? '').slice(0, 500).toWellFormed(),
  )
  // Any other answer than that there is nothing left to cancel may be temporary: the request is repeated.
  const isAcknowledged = answer.ok === true || (answer.ok === false && answer.code === GRPC.notFound)
  if (!isAcknowledged && !hasDetail(answer, 'CancellationAlreadyRequestedFailure')) return
  const current = context.store.executions.get(row.id)
  if (current !== null && current.closedAt === null) context.store.executions.update({ ...current, cancel: null })
}

/** Why an open execution makes no progress; null when it does. */
async function problemOf(
  context: OutboxContext,
  temporal: TemporalClient,
  row: ExecutionRow,
  described: TemporalAnswer,
): Promise<ExecutionRow['error']> {
  const task = stuckTask(described, context.now())
  if (task === null || row.runId === null || !isPathSafe(row.workflowId)) return null
  return stuckError(task, await temporal.latestEvents(row.workflowId, row.runId, LATEST_EVENTS))
}

function found(context: OutboxContext, row: ExecutionRow, runId: string | null, problem: ExecutionRow['error']): void {
  const namespaceId = context.knownNamespaceId(row.forward.namespace)
  // One that was not started through this ledger is first seen in its namespace here.
  if (row.namespaceId === null && namespaceId !== null) context.store.executions.locate(row.id, namespaceId)
  const isNews = row.error?.type !== problem?.type || row.error?.message !== problem?.message
  if (row.phase === 'running' && row.runId === runId && !isNews) return
  const now = context.now()
  const hasPassed = row.phase === 'lost' || (isNews && problem === null)
  if (hasPassed) context.store.escalations.end(row.id, now)
  const next = { phase: 'running', status: 'running', runId: runId ?? row.runId, error: problem } as const
  context.store.executions.update({ ...row, ...next })
  if (!isNews) return
  const facts = { execution: row.id, workflow: row.workflow }
  if (problem === null) {
    log('info', 'execution_resumed', facts)
    return
  }
  log('error', 'execution_stuck', { ...facts, detail: problem.message })
  escalate(context.store, row, now, { status: 'stuck' })
}

async function ended(
  context: OutboxContext,
  temporal: TemporalClient,
  row: ExecutionRow,
  state: { runId: string; status: ExecutionRow['status']; closedAt: number | null },
): Promise<void> {
  const answer = isPathSafe(row.workflowId) ? await temporal.closeEvent(row.workflowId, state.runId) : UNREADABLE
  // Its end is proven; its result is asked for again, unless Temporal says that there is none.
  if (answer.ok === null || (answer.ok === false && !REFUSALS.has(answer.code))) return
  const { result, error } = ending(answer) ?? { result: null, error: null }
  const current = context.store.executions.get(row.id)
  if (current === null || current.closedAt !== null) return
  context.store.executions.update({ ...current, runId: state.runId })
  const status = error?.type === STARTED_TOO_LATE ? 'expired' : state.status
  close(context.store, current, status, state.closedAt ?? context.now(), result, error)
}

/**
 * Temporal knows no such execution. In the namespace where its start was confirmed that means that it was deleted, which
 * ends a running one, or is past retention; anywhere else it means nothing.
 */
function absent(context: OutboxContext, row: ExecutionRow, namespaceId: string | null): void {
  if (namespaceId === null) return
  // One that was started without the coordinator could not be settled by anyone.
  if (row.namespaceId !== namespaceId && row.admitted) {
    lose(context, row)
    return
  }
  const message = 'Temporal no longer has it: it was deleted, or is past retention'
  close(context.store, row, 'terminated', context.now(), null, { type: 'Deleted', message })
}

/** Replaces the history of an execution whose id can't be part of a path. */
const UNREADABLE: TemporalAnswer = {
  ok: false,
  code: GRPC.notFound,
  message: 'its id would be another path',
  details: [],
}

function lose(context: OutboxContext, row: ExecutionRow): void {
  const now = context.now()
  context.store.executions.update({ ...row, phase: 'lost', status: 'lost', nextAt: now + LOST_INTERVAL_MS })
  if (row.phase === 'lost') return
  escalate(context.store, row, now)
  log('error', 'lost', {
    execution: row.id,
    workflow: row.workflow,
    detail: 'Temporal does not know this execution; it still counts',
  })
}
