/**
 * The outbox: one idempotent step at a time brings an execution to its end.
 *
 *     waiting ──approved──▶ reserving, starting      └─▶ closed (rejected, canceled, expired)
 *     reserving ──reserved──▶ starting               └─▶ gone (its decision says why)
 *     starting ──started──▶ running ──closed──▶ closed
 *        │  └──refused─────────────────────────▶ closed (failed)
 *        └─expired, canceled─▶ voiding ──▶ closed (expired, canceled), or running when it turns out to run
 *                          running ──not found──▶ lost ──found again──▶ running
 *                                                   └──settled──▶ closed
 *     closed ──found running──▶ running
 *
 * A step reads its row again after every wait: an operator may have cancelled meanwhile.
 */
import { backoff } from '../../../shared/backoff.ts'
import { log } from '../../../shared/log.ts'
import type { StartRequest } from '../../temporal/client.ts'
import { CLOCK_TOLERANCE_MS } from '../../temporal/clock.ts'
import { startOutcome } from '../../temporal/outcome.ts'
import type { ExecutionRow } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'
import { close } from './close.ts'
import type { OutboxContext } from './context.ts'
import { memoOf, permitOf } from './permit.ts'
import { verify } from './verify.ts'

/** The workflow type that occupies the id of a voided execution, on a queue of the same name that nobody polls. */
export const VOID_WORKFLOW_TYPE = 'resile-void'

/** Longest wait between two attempts to start or void. */
const BACKOFF_MS = { first: 500, max: 5000 }
/** How soon something that could not be sent is tried again. */
const RESEND_INTERVAL_MS = 1000
/** How long a start that is held back waits at first, unless it is known when the reason ends. */
const HOLD_INTERVAL_MS = 5000

/**
 * Does the next step of one execution, if it has one.
 *
 * @param firstAttempt true when the row was written as already attempted and the attempt is to be made now
 */
export async function step(context: OutboxContext, id: string, firstAttempt = false): Promise<void> {
  const row = context.store.executions.get(id)
  if (row === null) return
  switch (row.phase) {
    case 'waiting':
      if (context.now() >= row.validUntil) expireWaiting(context, row)
      return
    case 'reserving':
      return context.abandonReservation(id)
    case 'starting':
    case 'voiding':
      return sendOrVoid(context, id, firstAttempt)
    case 'running':
    case 'lost':
      return verify(context, row)
    case 'closed':
  }
}

/** Begins to void an execution that has not started; the next step proves that it never will. */
export function beginVoid(
  store: LedgerStore,
  row: ExecutionRow,
  ending: NonNullable<ExecutionRow['ending']>,
  now: number,
): void {
  store.executions.update({ ...row, phase: 'voiding', ending, nextAt: now })
}

/** Sends or voids a start, unless the clocks differ: then it is unknown whether it is late. */
async function sendOrVoid(context: OutboxContext, id: string, firstAttempt: boolean): Promise<void> {
  const problem = await context.sendProblem()
  // Signed before anything is read that may change while it is signed.
  const request = problem === null ? await startRequest(context, id) : null
  const row = context.store.executions.get(id)
  if (row?.phase === 'voiding') return problem === null || !row.maybeSent ? voidStart(context, row) : undefined
  if (row?.phase !== 'starting') return
  const now = context.now()
  const isLate = !firstAttempt && now >= row.validUntil
  // With clock skew nothing counts as late; with any other problem it does.
  if (problem !== null && (!isLate || problem.type === 'ClockSkew')) {
    hold(context, row, firstAttempt, problem, now + RESEND_INTERVAL_MS)
    return
  }
  if (row.admittedAt > now + CLOCK_TOLERANCE_MS) {
    // Judged by a clock that was ahead: windows may have looked emptier than they were.
    const ending = { status: 'expired', message: "admitted while this machine's clock was ahead" } as const
    beginVoid(context.store, row, ending, now)
    return voidStart(context, { ...row, phase: 'voiding', ending })
  }
  if (isLate) return expire(context, row)
  const { datacenter } = row.forward
  const freeze = context.store.freezes.covering({ workflow: row.workflow, datacenter, node: row.node }, now)
  if (freeze !== null) {
    const error = { type: 'Frozen', message: `${freeze.reason} (freeze ${freeze.id})` }
    hold(context, row, firstAttempt, error, freeze.expires_at === null ? null : Date.parse(freeze.expires_at))
    return
  }
  if (request !== null) return start(context, row, request, firstAttempt)
}

/** Holds a start back. If this would have been its first attempt, nothing was sent. */
function hold(
  context: OutboxContext,
  row: ExecutionRow,
  firstAttempt: boolean,
  error: NonNullable<ExecutionRow['error']>,
  until: number | null,
): void {
  const now = context.now()
  const soonest = now + RESEND_INTERVAL_MS
  const nextAt = Math.max(Math.min(until ?? Number.POSITIVE_INFINITY, now + HOLD_INTERVAL_MS, row.validUntil), soonest)
  context.store.executions.update({ ...row, maybeSent: firstAttempt ? false : row.maybeSent, error, nextAt })
}

async function start(
  context: OutboxContext,
  row: ExecutionRow,
  request: StartRequest,
  firstAttempt: boolean,
): Promise<void> {
  const maybeSentBefore = firstAttempt ? false : row.maybeSent
  if (!firstAttempt) {
    const attempts = row.attempts + 1
    context.store.executions.update({
      ...row,
      attempts,
      maybeSent: true,
      nextAt: context.now() + backoff(attempts, BACKOFF_MS),
    })
  }
  // Known before it is sent, so that it is the namespace that it is sent to.
  const namespaceId = context.knownNamespaceId(row.forward.namespace)
  // An answer after valid_for is not waited for: by then it is being voided.
  const requestTimeout = Math.max(row.validUntil - context.now(), 100)
  const outcome = startOutcome(await context.temporal(row.forward.namespace).start({ ...request, requestTimeout }))
  const current = context.store.executions.get(row.id)
  if (current === null || current.closedAt !== null) return
  switch (outcome.kind) {
    case 'started':
      return confirm(context, current, outcome.runId, namespaceId)
    case 'refused':
      return refused(context, { ...current, maybeSent: maybeSentBefore }, outcome)
    case 'unknown':
      log('warn', 'start_unknown', {
        execution: row.id,
        workflow: row.workflow,
        attempt: current.attempts,
        detail: outcome.message,
      })
      retry(context, current, outcome.message)
  }
}

/** The request that starts an execution, with its permit; null when it is no longer to be started. */
async function startRequest(context: OutboxContext, id: string): Promise<StartRequest | null> {
  const row = context.store.executions.get(id)
  if (row?.phase !== 'starting') return null
  const { forward } = row
  const run = {
    execution_id: row.id,
    workflow: row.workflow,
    datacenter: forward.datacenter,
    target: row.target,
    reason: forward.reason,
    trigger: forward.trigger,
  }
  const args = [forward.input, run]
  return {
    workflowId: row.id,
    requestId: row.id,
    workflowType: forward.workflowType,
    taskQueue: forward.workflowQueue,
    args,
    executionTimeout: forward.timeout,
    memo: {
      resile: { decision: row.id, workflow: row.workflow, target: row.target },
      resile_proof: await context.signMemo(memoOf(row)),
    },
    header: {
      resile: {
        task_queue: row.taskQueue,
        begin_by: new Date(row.validUntil).toISOString(),
        permit: await context.sign(await permitOf(row, args)),
        ...(forward.traceparent === null ? {} : { traceparent: forward.traceparent }),
      },
    },
  }
}

function confirm(context: OutboxContext, row: ExecutionRow, runId: string | null, namespaceId: string | null): void {
  const now = context.now()
  context.store.executions.confirm(row.id, runId, namespaceId, now, now + context.checkInterval())
  log('info', 'started', {
    execution: row.id,
    workflow: row.workflow,
    target: row.target,
    run_id: runId,
    after_ms: now - row.admittedAt,
  })
  if (row.ending?.status !== 'canceled') return
  // It was cancelled while its start was in progress, and the start won.
  const running = context.store.executions.get(row.id)
  if (running !== null) context.store.executions.update({ ...running, cancel: row.ending.message, nextAt: now })
}

function refused(context: OutboxContext, row: ExecutionRow, refusal: { message: string; final: boolean }): void {
  log('error', 'start_refused', {
    execution: row.id,
    workflow: row.workflow,
    detail: refusal.message,
    final: refusal.final,
  })
  if (!refusal.final || row.maybeSent || row.phase !== 'starting') {
    retry(context, row, refusal.message)
    return
  }
  close(context.store, row, 'failed', context.now(), null, {
    type: 'StartRefused',
    message: `Temporal refused the start: ${refusal.message}`,
  })
}

function retry(context: OutboxContext, row: ExecutionRow, message: string): void {
  const nextAt = context.now() + backoff(row.attempts, BACKOFF_MS)
  const error = row.phase === 'starting' ? { type: 'NotStartedYet', message } : row.error
  context.store.executions.update({ ...row, error, nextAt: Math.min(nextAt, Math.max(row.validUntil, context.now())) })
}

function expire(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const why = row.error === null ? '' : ` (${row.error.type}: ${row.error.message})`
  const ending = { status: 'expired' as const, message: `not started within its valid_for${why}` }
  beginVoid(context.store, row, ending, context.now())
  return voidStart(context, { ...row, phase: 'voiding', ending })
}

function expireWaiting(context: OutboxContext, row: ExecutionRow): void {
  const ending = { status: 'expired' as const, message: 'not approved within its valid_for' }
  close(context.store, row, ending.status, context.now(), null, endingError(ending))
}

/**
 * Proves that an execution never starts, by occupying its workflow id: with `REJECT_DUPLICATE` no start on that id can
 * succeed afterwards, not even one that is still on its way.
 */
async function voidStart(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const ending = row.ending ?? { status: 'expired', message: 'voided' }
  if (!row.maybeSent) return close(context.store, row, ending.status, context.now(), null, endingError(ending))
  const attempts = row.attempts + 1
  context.store.executions.update({ ...row, attempts, nextAt: context.now() + backoff(attempts, BACKOFF_MS) })
  const namespaceId = context.knownNamespaceId(row.forward.namespace)
  const outcome = startOutcome(
    await context.temporal(row.forward.namespace).start({
      workflowId: row.id,
      requestId: `${row.id}:void`,
      workflowType: VOID_WORKFLOW_TYPE,
      taskQueue: VOID_WORKFLOW_TYPE,
      args: [],
      executionTimeout: 1000,
      memo: { resile_void: { decision: row.id, workflow: row.workflow, why: ending.message } },
    }),
  )
  const current = context.store.executions.get(row.id)
  if (current === null || current.closedAt !== null || current.startedAt !== null) return
  if (outcome.kind !== 'started') {
    log('warn', 'void_unknown', { execution: row.id, workflow: row.workflow, detail: outcome.message })
    return
  }
  const occupied = outcome.occupied
  return occupied
    ? confirm(context, current, outcome.runId, namespaceId)
    : close(context.store, current, ending.status, context.now(), null, endingError(ending))
}

function endingError(ending: { status: string; message: string }): NonNullable<ExecutionRow['error']> {
  return { type: ending.status === 'canceled' ? 'Canceled' : 'Expired', message: ending.message }
}
