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
 * A step reads its row anew after every wait: an operator may have cancelled meanwhile.
 */
import { STARTED_TOO_LATE } from '../../../shared/failure-types.ts'
import { log } from '../../../shared/log.ts'
import type { Permit } from '../../../shared/permit.ts'
import { permitOf } from '../../permits/permit.ts'
import {
  GRPC,
  hasDetail,
  isPathSafe,
  type StartOrder,
  type TemporalAnswer,
  type TemporalClient,
} from '../../temporal/client.ts'
import { CLOCK_TOLERANCE } from '../../temporal/clock.ts'
import { ending, executionState, REFUSALS, startOutcome } from '../../temporal/outcome.ts'
import { reachedFailures } from '../admission/admit.ts'
import { escalate } from '../escalation/escalate.ts'
import { describeSafely } from '../reconcile/audit.ts'
import type { ExecutionRow, LedgerStore } from '../store/executions.ts'

/** The workflow type that occupies the id of a voided execution, on a queue of the same name that nobody polls. */
const VOID_WORKFLOW_TYPE = 'resile-void'

/** Longest wait between two attempts of a start or a void, in milliseconds. */
const LONGEST_BACKOFF = 5000
/** How soon it is tried again to send what could not be sent, in milliseconds. */
const RESEND_INTERVAL = 1000
/** How long a start that is held back waits for the reason to pass, in milliseconds, unless that is known. */
const HOLD_INTERVAL = 5000
/** How often an execution is looked for that Temporal doesn't know. */
const LOST_INTERVAL = 60_000

/** What a step needs besides its row. */
export interface OutboxContext {
  store: LedgerStore
  /** The client of the namespace that an execution was forwarded to. */
  temporal(namespace: string): TemporalClient
  /** Why nothing may be sent now: no key to permit it with, clocks that differ, no answer of Temporal; null when it may. */
  sendProblem(): Promise<NonNullable<ExecutionRow['error']> | null>
  /** Signs a permit. @throws when there is no key to sign with */
  sign(permit: Permit): Promise<string>
  /** Temporal's id of a namespace as it was last told, null when it never was. */
  knownNamespaceId(namespace: string): string | null
  /** The same, asked for now; null without an answer. */
  freshNamespaceId(namespace: string): Promise<string | null>
  /** Gives up a reservation that was cut off. */
  abandonReservation(id: string): void
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds between two looks at an open execution. */
  checkInterval(): number
}

/**
 * Does the next step of one execution, if it has one.
 *
 * @param firstAttempt true when the row was written as already attempted and the attempt is to be made now
 */
export async function step(context: OutboxContext, id: string, firstAttempt = false): Promise<void> {
  const row = context.store.execution(id)
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
  store.update({ ...row, phase: 'voiding', ending, nextAt: now })
}

/** Does what is next of a start, unless the clocks differ: then it can't be known whether its time has come or gone. */
async function sendOrVoid(context: OutboxContext, id: string, firstAttempt: boolean): Promise<void> {
  const problem = await context.sendProblem()
  // Signed before anything is looked at that may change while it is signed.
  const order = problem === null ? await startOrder(context, id) : null
  const row = context.store.execution(id)
  if (row?.phase === 'voiding') return problem === null || !row.maybeSent ? voidStart(context, row) : undefined
  if (row?.phase !== 'starting') return
  const now = context.now()
  const isLate = !firstAttempt && now >= row.validUntil
  // By clocks that differ nothing is late; whatever else holds it back, it is.
  if (problem !== null && (!isLate || problem.type === 'ClockSkew')) {
    hold(context, row, firstAttempt, problem, now + RESEND_INTERVAL)
    return
  }
  if (row.admittedAt > now + CLOCK_TOLERANCE) {
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
  if (order !== null) return start(context, row, order, firstAttempt)
}

/** Keeps a start back. Of one whose first attempt this would have been, nothing was sent. */
function hold(
  context: OutboxContext,
  row: ExecutionRow,
  firstAttempt: boolean,
  error: NonNullable<ExecutionRow['error']>,
  until: number | null,
): void {
  const now = context.now()
  const soonest = now + RESEND_INTERVAL
  const nextAt = Math.max(Math.min(until ?? Number.POSITIVE_INFINITY, now + HOLD_INTERVAL, row.validUntil), soonest)
  context.store.update({ ...row, maybeSent: firstAttempt ? false : row.maybeSent, error, nextAt })
}

async function start(
  context: OutboxContext,
  row: ExecutionRow,
  order: StartOrder,
  firstAttempt: boolean,
): Promise<void> {
  const maybeSentBefore = firstAttempt ? false : row.maybeSent
  if (!firstAttempt) {
    const attempts = row.attempts + 1
    context.store.update({ ...row, attempts, maybeSent: true, nextAt: context.now() + backoff(attempts) })
  }
  // Known before it is sent, so that it is the namespace that it is sent to.
  const namespaceId = context.knownNamespaceId(row.forward.namespace)
  // An answer after valid_for is not waited for: by then it is being voided.
  const requestTimeout = Math.max(row.validUntil - context.now(), 100)
  const outcome = startOutcome(await context.temporal(row.forward.namespace).start({ ...order, requestTimeout }))
  const current = context.store.execution(row.id)
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

/** What is sent to start an execution, with its permit; null when it is not to be started any more. */
async function startOrder(context: OutboxContext, id: string): Promise<StartOrder | null> {
  const row = context.store.execution(id)
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
    memo: { resile: { decision: row.id, workflow: row.workflow, target: row.target } },
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
  context.store.confirm(row.id, runId, namespaceId, now, now + context.checkInterval())
  log('info', 'started', {
    execution: row.id,
    workflow: row.workflow,
    target: row.target,
    run_id: runId,
    after_ms: now - row.admittedAt,
  })
  if (row.ending?.status !== 'canceled') return
  // It was cancelled while its start was under way, and the start won.
  const running = context.store.execution(row.id)
  if (running !== null) context.store.update({ ...running, cancel: row.ending.message, nextAt: now })
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
  close(context, row, 'failed', context.now(), null, {
    type: 'StartRefused',
    message: `Temporal refused the start: ${refusal.message}`,
  })
}

function retry(context: OutboxContext, row: ExecutionRow, message: string): void {
  const nextAt = context.now() + backoff(row.attempts)
  const error = row.phase === 'starting' ? { type: 'NotStartedYet', message } : row.error
  context.store.update({ ...row, error, nextAt: Math.min(nextAt, Math.max(row.validUntil, context.now())) })
}

function expire(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const why = row.error === null ? '' : ` (${row.error.type}: ${row.error.message})`
  const ending = { status: 'expired' as const, message: `not started within its valid_for${why}` }
  beginVoid(context.store, row, ending, context.now())
  return voidStart(context, { ...row, phase: 'voiding', ending })
}

function expireWaiting(context: OutboxContext, row: ExecutionRow): void {
  const ending = { status: 'expired' as const, message: 'not approved within its valid_for' }
  close(context, row, ending.status, context.now(), null, endingError(ending))
}

/**
 * Proves that an execution never starts, by occupying its workflow id: with `REJECT_DUPLICATE` no start on that id can
 * succeed afterwards, not even one that is still on its way.
 */
async function voidStart(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const ending = row.ending ?? { status: 'expired', message: 'voided' }
  if (!row.maybeSent) return close(context, row, ending.status, context.now(), null, endingError(ending))
  const attempts = row.attempts + 1
  context.store.update({ ...row, attempts, nextAt: context.now() + backoff(attempts) })
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
  const current = context.store.execution(row.id)
  if (current === null || current.closedAt !== null || current.startedAt !== null) return
  if (outcome.kind !== 'started') {
    log('warn', 'void_unknown', { execution: row.id, workflow: row.workflow, detail: outcome.message })
    return
  }
  const occupied = outcome.occupied
  return occupied
    ? confirm(context, current, outcome.runId, namespaceId)
    : close(context, current, ending.status, context.now(), null, endingError(ending))
}

/**
 * Asks Temporal how an execution stands, and passes a cancel on that it has not acknowledged yet. Whoever calls this
 * has set the time of the next look already, so that nothing is written while nothing has changed.
 */
async function verify(context: OutboxContext, row: ExecutionRow): Promise<void> {
  const temporal = context.temporal(row.forward.namespace)
  if (row.cancel !== null) await passCancel(context, temporal, row)
  const state = executionState(await describeSafely(temporal, row.workflowId))
  const present = state.kind === 'absent' ? await context.freshNamespaceId(row.forward.namespace) : null
  const current = context.store.execution(row.id)
  if (current === null || current.closedAt !== null) return
  switch (state.kind) {
    case 'open':
      return found(context, current, state.runId, context.knownNamespaceId(row.forward.namespace))
    case 'closed':
      return ended(context, temporal, current, state)
    case 'absent':
      return absent(context, current, present)
    case 'unknown':
      log('warn', 'check_unknown', { execution: row.id, workflow: row.workflow, detail: state.message })
  }
}

async function passCancel(context: OutboxContext, temporal: TemporalClient, row: ExecutionRow): Promise<void> {
  // Temporal bounds the text, and would refuse a longer one for ever.
  const answer = await temporal.cancel(
    row.workflowId,
    `${row.id}:cancel`,
    (row.cancel ?? '').slice(0, 500).toWellFormed(),
  )
  // Anything else than Temporal's word that there is nothing left to cancel may pass: it is asked again.
  const settled = answer.ok === true || (answer.ok === false && answer.code === GRPC.notFound)
  if (!settled && !hasDetail(answer, 'CancellationAlreadyRequestedFailure')) return
  const current = context.store.execution(row.id)
  if (current !== null && current.closedAt === null) context.store.update({ ...current, cancel: null })
}

function found(context: OutboxContext, row: ExecutionRow, runId: string | null, namespaceId: string | null): void {
  // One that was not started through this ledger is first seen in its namespace here.
  if (row.namespaceId === null && namespaceId !== null) context.store.locate(row.id, namespaceId)
  if (row.phase === 'running' && row.runId === runId) return
  if (row.phase === 'lost') context.store.escalations.end(row.id, context.now())
  context.store.update({ ...row, phase: 'running', status: 'running', runId: runId ?? row.runId })
}

async function ended(
  context: OutboxContext,
  temporal: TemporalClient,
  row: ExecutionRow,
  state: { runId: string; status: ExecutionRow['status']; closedAt: number | null },
): Promise<void> {
  const answer = isPathSafe(row.workflowId) ? await temporal.closeEvent(row.workflowId, state.runId) : UNREADABLE
  // Its end is proven; what it left behind is worth another look, unless Temporal says that there is none to be had.
  if (answer.ok === null || (answer.ok === false && !REFUSALS.has(answer.code))) return
  const { result, error } = ending(answer) ?? { result: null, error: null }
  const current = context.store.execution(row.id)
  if (current === null || current.closedAt !== null) return
  context.store.update({ ...current, runId: state.runId })
  const status = error?.type === STARTED_TOO_LATE ? 'expired' : state.status
  close(context, current, status, state.closedAt ?? context.now(), result, error)
}

/**
 * Temporal knows no such execution. In the namespace where its start was confirmed that means that it was deleted, which
 * ends a running one, or is past retention; anywhere else it means nothing.
 */
function absent(context: OutboxContext, row: ExecutionRow, namespaceId: string | null): void {
  if (namespaceId === null) return
  // Nobody could settle one that was started past the coordinator; what it ran on is gone.
  if (row.namespaceId !== namespaceId && row.admitted) {
    lose(context, row)
    return
  }
  const message = 'Temporal no longer has it: it was deleted, or is past retention'
  close(context, row, 'terminated', context.now(), null, { type: 'Deleted', message })
}

/** What stands for the history of an execution whose id can't be asked for. */
const UNREADABLE: TemporalAnswer = {
  ok: false,
  code: GRPC.notFound,
  message: 'its id would be another path',
  details: [],
}

function lose(context: OutboxContext, row: ExecutionRow): void {
  const now = context.now()
  context.store.update({ ...row, phase: 'lost', status: 'lost', nextAt: now + LOST_INTERVAL })
  if (row.phase === 'lost') return
  escalate(context.store, row, now)
  log('error', 'lost', {
    execution: row.id,
    workflow: row.workflow,
    detail: 'Temporal does not know this execution; it still counts',
  })
}

/** Ends an execution, trips what its end reaches, and has a human told. */
export function close(
  context: Pick<OutboxContext, 'store'>,
  row: ExecutionRow,
  status: ExecutionRow['status'],
  at: number,
  result: unknown,
  error: ExecutionRow['error'],
): void {
  if (!context.store.close(row.id, status, at, bounded(result), boundedError(error))) return
  const reached = reachedFailures(context.store, row, at)
  const tripped = reached.filter(({ scope, count }) => context.store.failures.trip(scope, at, count))
  for (const { scope, count } of tripped) {
    log('error', 'tripped', { scope, count, execution: row.id, detail: 'nothing more is admitted until it is reset' })
  }
  context.store.escalations.end(row.id, at)
  const scopes = tripped.map(({ scope }) => scope)
  escalate(context.store, row, at, scopes)
  log(status === 'completed' ? 'info' : 'warn', 'closed', {
    execution: row.id,
    workflow: row.workflow,
    target: row.target,
    status,
    after_ms: at - row.admittedAt,
    ...(error === null ? {} : { detail: error.message, cause: error.cause }),
  })
}

function endingError(ending: { status: string; message: string }): NonNullable<ExecutionRow['error']> {
  return { type: ending.status === 'canceled' ? 'Canceled' : 'Expired', message: ending.message }
}

/** Most of a result that is kept, in bytes of JSON; Temporal keeps the whole. */
const RESULT_KEPT = 256 * 1024

function boundedError(error: ExecutionRow['error']): ExecutionRow['error'] {
  if (error === null || JSON.stringify(error).length <= RESULT_KEPT) return error
  return { type: error.type, message: error.message.slice(0, RESULT_KEPT / 2), truncated: true }
}

function bounded(result: unknown): unknown {
  const size = result === null ? 0 : JSON.stringify(result).length
  return size <= RESULT_KEPT ? result : { truncated: true, bytes: size }
}

function backoff(attempts: number): number {
  const wait = Math.min(500 * 2 ** Math.min(attempts - 1, 10), LONGEST_BACKOFF)
  return wait * (0.8 + 0.4 * Math.random())
}
