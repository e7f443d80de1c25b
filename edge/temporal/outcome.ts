/** What an answer from Temporal proves about an execution: pure functions over {@link TemporalAnswer}. */
import { decodePayload, firstPayload, type Payload, type Payloads } from '../../shared/payload.ts'
import type { ExecutionError, ExecutionStatus } from '../../shared/wire.ts'
import { GRPC, hasDetail, type TemporalAnswer } from './client.ts'

/** What the answer to a start proves. */
export type StartOutcome =
  /** It runs, or ran, under our workflow id; `occupied` when an earlier request had started it. */
  | { kind: 'started'; runId: string | null; occupied: boolean }
  /** Temporal itself refused this attempt, so this attempt started nothing. `final`: no attempt ever will. */
  | { kind: 'refused'; message: string; final: boolean }
  /** It may have started. */
  | { kind: 'unknown'; message: string }

/**
 * Judges the answer to a start. Only Temporal's own word counts: success and `AlreadyStarted` on our id prove a start
 * (after continue-as-new or a reset the request id differs, so it isn't compared), a definite gRPC refusal proves that
 * this attempt started nothing, and anything else proves nothing.
 */
export function startOutcome(answer: TemporalAnswer): StartOutcome {
  if (answer.ok === null) return { kind: 'unknown', message: answer.message }
  if (answer.ok) {
    const runId = answer.body.runId
    return typeof runId === 'string'
      ? { kind: 'started', runId, occupied: false }
      : { kind: 'unknown', message: 'an answer without a run id' }
  }
  if (answer.code === GRPC.alreadyExists && hasDetail(answer, 'WorkflowExecutionAlreadyStartedFailure')) {
    const runId = answer.details.find((detail) => typeof detail.runId === 'string')?.runId
    return { kind: 'started', runId: typeof runId === 'string' ? runId : null, occupied: true }
  }
  if (!REFUSALS.has(answer.code)) return { kind: 'unknown', message: answer.message }
  return { kind: 'refused', message: answer.message, final: FINAL_REFUSALS.has(answer.code) }
}

/** The state of an execution, as Describe shows it. */
export type ExecutionState =
  | { kind: 'open'; runId: string | null }
  | { kind: 'closed'; runId: string; status: ExecutionStatus; closedAt: number | null }
  /** The namespace knows no such workflow id. */
  | { kind: 'absent' }
  | { kind: 'unknown'; message: string }

/** Judges the answer to a Describe without a run id. Continued as new is open. */
export function executionState(answer: TemporalAnswer): ExecutionState {
  if (answer.ok === null) return { kind: 'unknown', message: answer.message }
  if (!answer.ok) {
    const absent = answer.code === GRPC.notFound && !hasDetail(answer, 'NamespaceNotFoundFailure')
    return absent ? { kind: 'absent' } : { kind: 'unknown', message: answer.message }
  }
  const info = answer.body.workflowExecutionInfo as DescribeInfo | undefined
  const runId = info?.execution?.runId ?? null
  const status = CLOSED[info?.status ?? '']
  if (status !== undefined && runId !== null) {
    return { kind: 'closed', runId, status, closedAt: parseTime(info?.closeTime) }
  }
  if (OPEN.has(info?.status ?? '')) return { kind: 'open', runId }
  return { kind: 'unknown', message: `Temporal describes status ${info?.status ?? 'none'}` }
}

/** One execution as Visibility lists it. Times in milliseconds since the epoch. */
export interface Listed {
  workflowId: string
  runId: string
  type: string
  taskQueue: string
  /** Null while it is open. */
  status: ExecutionStatus | null
  startedAt: number
  closedAt: number | null
  /** The root of the chain of children it belongs to; its own id when it is not a child. */
  rootWorkflowId: string
  /** What its memo has as the proof that a coordinator admitted it; null without. Not verified. */
  proof: string | null
}

/** Reads a page of a list; null when the answer is none. */
export function listedPage(answer: TemporalAnswer): { items: Listed[]; nextPageToken: string } | null {
  if (answer.ok !== true) return null
  const { executions = [], nextPageToken = '' } = answer.body as { executions?: ListedInfo[]; nextPageToken?: string }
  return { items: executions.flatMap((info) => listed(info) ?? []), nextPageToken }
}

/** Temporal's id of a namespace; null when the answer holds none. */
export function namespaceId(answer: TemporalAnswer): string | null {
  if (answer.ok !== true) return null
  return (answer.body.namespaceInfo as { id?: string } | undefined)?.id ?? null
}

/** The result or failure of a closed execution. */
export interface Ending {
  result: unknown
  error: ExecutionError | null
}

/** Reads the close event of a history; null when the answer holds none. */
export function ending(answer: TemporalAnswer): Ending | null {
  if (answer.ok !== true) return null
  const events = (answer.body.history as { events?: CloseEvent[] } | undefined)?.events
  const event = events?.at(-1)
  if (event === undefined) return null
  if (event.workflowExecutionCompletedEventAttributes !== undefined) {
    return { result: firstPayload(event.workflowExecutionCompletedEventAttributes.result), error: null }
  }
  return { result: null, error: endingError(event) }
}

/** Codes with which Temporal refuses something definitely, before anything happened. */
export const REFUSALS: ReadonlySet<number> = new Set([
  GRPC.invalidArgument,
  GRPC.notFound,
  GRPC.permissionDenied,
  GRPC.failedPrecondition,
  GRPC.outOfRange,
  GRPC.unimplemented,
  GRPC.unauthenticated,
])
/** Of these, the ones that no waiting mends: the order itself is wrong. A missing namespace or right can be mended. */
const FINAL_REFUSALS: ReadonlySet<number> = new Set([GRPC.invalidArgument, GRPC.outOfRange])

const OPEN: ReadonlySet<string> = new Set([
  'WORKFLOW_EXECUTION_STATUS_RUNNING',
  'WORKFLOW_EXECUTION_STATUS_PAUSED',
  'WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW',
])
const CLOSED: Readonly<Record<string, ExecutionStatus | undefined>> = {
  WORKFLOW_EXECUTION_STATUS_COMPLETED: 'completed',
  WORKFLOW_EXECUTION_STATUS_FAILED: 'failed',
  WORKFLOW_EXECUTION_STATUS_TIMED_OUT: 'timed_out',
  WORKFLOW_EXECUTION_STATUS_CANCELED: 'canceled',
  WORKFLOW_EXECUTION_STATUS_TERMINATED: 'terminated',
}

interface DescribeInfo {
  execution?: { runId?: string }
  status?: string
  closeTime?: string
}

interface ListedInfo extends DescribeInfo {
  execution?: { workflowId?: string; runId?: string }
  type?: { name?: string }
  taskQueue?: string
  startTime?: string
  rootExecution?: { workflowId?: string }
  memo?: { fields?: Record<string, Payload> }
}

function listed(info: ListedInfo): Listed | null {
  const { workflowId, runId } = info.execution ?? {}
  const startedAt = parseTime(info.startTime)
  if (workflowId === undefined || runId === undefined || startedAt === null) return null
  const payload = info.memo?.fields?.resile_proof
  const proof = payload === undefined ? null : decodePayload(payload)
  return {
    workflowId,
    runId,
    type: info.type?.name ?? '',
    taskQueue: info.taskQueue ?? '',
    status: CLOSED[info.status ?? ''] ?? null,
    startedAt,
    closedAt: parseTime(info.closeTime),
    rootWorkflowId: info.rootExecution?.workflowId ?? workflowId,
    proof: typeof proof === 'string' ? proof : null,
  }
}

interface CloseEvent {
  workflowExecutionCompletedEventAttributes?: { result?: Payloads }
  workflowExecutionFailedEventAttributes?: { failure?: Failure }
  workflowExecutionTimedOutEventAttributes?: object
  workflowExecutionCanceledEventAttributes?: { details?: Payloads }
  workflowExecutionTerminatedEventAttributes?: { reason?: string }
}

/** temporal/api/failure/v1/message.proto, as far as it is shown. */
interface Failure {
  message?: string
  cause?: Failure
  applicationFailureInfo?: { type?: string; details?: Payloads }
  timeoutFailureInfo?: { timeoutType?: string }
  activityFailureInfo?: { activityType?: { name?: string } }
  childWorkflowExecutionFailureInfo?: object
}

/** How many causes of a failure are shown. */
const MAX_CAUSES = 5

function endingError(event: CloseEvent): ExecutionError {
  if (event.workflowExecutionFailedEventAttributes !== undefined) {
    return failureError(event.workflowExecutionFailedEventAttributes.failure ?? {}, MAX_CAUSES)
  }
  if (event.workflowExecutionTimedOutEventAttributes !== undefined) {
    return { type: 'TimedOut', message: 'the execution ran longer than its timeout' }
  }
  if (event.workflowExecutionCanceledEventAttributes !== undefined) {
    return { type: 'Canceled', message: 'canceled' }
  }
  return {
    type: 'Terminated',
    message: event.workflowExecutionTerminatedEventAttributes?.reason || 'terminated without a reason',
  }
}

/** What only says that something else failed gets the type, message and details of its cause. */
function failureError(failure: Failure, depth: number): ExecutionError {
  if (isWrapper(failure) && failure.cause !== undefined && depth > 0) {
    const cause = failureError(failure.cause, depth - 1)
    const activity = failure.activityFailureInfo?.activityType?.name
    return { ...cause, ...(activity === undefined ? {} : { activity }), cause }
  }
  const details = failure.applicationFailureInfo?.details?.payloads?.map((payload: Payload) => decodePayload(payload))
  return {
    type: failureType(failure),
    message: failure.message ?? '',
    ...(details === undefined || details.length === 0 ? {} : { details }),
    ...(failure.cause === undefined || depth === 0 ? {} : { cause: failureError(failure.cause, depth - 1) }),
  }
}

function isWrapper({ activityFailureInfo, childWorkflowExecutionFailureInfo }: Failure): boolean {
  return activityFailureInfo !== undefined || childWorkflowExecutionFailureInfo !== undefined
}

function failureType(failure: Failure): string {
  if (failure.applicationFailureInfo !== undefined) return failure.applicationFailureInfo.type || 'ApplicationFailure'
  if (failure.activityFailureInfo !== undefined) return 'ActivityFailure'
  if (failure.timeoutFailureInfo !== undefined) return 'TimeoutFailure'
  return 'Failure'
}

function parseTime(text: string | undefined): number | null {
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? null : time
}
