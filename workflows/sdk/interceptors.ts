/**
 * What every workflow in Resile's bundle gets without its author's doing: on-host activities run on the target's queue,
 * and the worker is notified when an execution ends. Loaded into the workflow sandbox beside the workflows.
 */
import {
  ActivityFailure,
  type ActivityInput,
  ApplicationFailure,
  ContinueAsNew,
  type ContinueAsNewInput,
  defaultPayloadConverter,
  type Headers,
  type LocalActivityInput,
  type Next,
  proxySinks,
  type Sinks,
  type StartChildWorkflowExecutionInput,
  TimeoutFailure,
  type WorkflowExecuteInput,
  type WorkflowInboundCallsInterceptor,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
  workflowInfo,
} from '@temporalio/workflow'
import { HOST_UNREACHABLE, OUTCOME_UNKNOWN, STARTED_TOO_LATE } from '../../shared/failure-types.ts'
import type { HeartbeatDetails } from './activities.ts'

/** Name of the header that carries an execution's routing, as the coordinator sends it. */
const HEADER = 'resile'

/**
 * How long an activity waits for a worker of its queue, unless its author says so. A live worker takes it at once,
 * one that was restarted within seconds: what waits longer is an order for a dead host. Milliseconds.
 */
const MAX_START_DELAY_MS = 60_000

/** Temporal stores payloads of up to 2 MiB, and needs some room for the rest of a message. */
const MAX_STORED_BYTES = 2 * 1024 * 1024 - 64 * 1024
const MAX_FAILURE_MESSAGE_LENGTH = 10_000

/** The worker's ears inside the sandbox. */
export interface ResileSinks extends Sinks {
  resile: { closed(executionId: string): void }
}

/** Called by Temporal's worker once per workflow. */
export function interceptors(): WorkflowInterceptors {
  const routing = new Routing()
  return { inbound: [routing], outbound: [routing] }
}

/** The header that the coordinator sends with a start; `begin_by` is RFC 3339. */
interface RoutingHeader {
  task_queue?: string
  begin_by?: string
}

/**
 * A start that the network held back beyond its `valid_for` is a stale order, and is not carried out. Only the first run
 * is asked: what continues as new, or was reset, has begun in time.
 */
function refuseStale(beginBy: string | undefined): void {
  const { startTime, runId, firstExecutionRunId, parent } = workflowInfo()
  if (beginBy === undefined || parent !== undefined || runId !== firstExecutionRunId) return
  if (startTime.getTime() <= Date.parse(beginBy)) return
  throw ApplicationFailure.nonRetryable(
    `started at ${startTime.toISOString()}, but valid only until ${beginBy}; nothing was done`,
    STARTED_TOO_LATE,
  )
}

/** Whether an activity failed because no worker took it, or took it up again after the one that had begun it died. */
function wasNeverTaken(error: unknown): error is ActivityFailure {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof TimeoutFailure &&
    error.cause.timeoutType === 'SCHEDULE_TO_START'
  )
}

function hostUnreachable(cause: ActivityFailure, activity: string, queue: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: HOST_UNREACHABLE,
    message: `no worker of ${queue} took ${activity} in time: the host or its worker is down`,
    nonRetryable: true,
    details: [{ queue, activity }],
    cause,
  })
}

/**
 * A result that Temporal can store. One that it can't would fail its workflow task again and again, until the execution
 * times out with all that it occupies.
 *
 * @throws ApplicationFailure `ResultNotStorable`, not retried
 */
function storable(result: unknown): unknown {
  const problem = sizeProblem(result)
  if (problem === null) return result
  throw ApplicationFailure.nonRetryable(`the workflow's result can't be stored: ${problem}`, 'ResultNotStorable')
}

/** A failure that Temporal can store: of details that are too large, only their size is kept. */
function storableFailure(failure: ApplicationFailure): ApplicationFailure {
  const problem = sizeProblem(failure.details ?? [])
  if (problem === null && failure.message.length <= MAX_FAILURE_MESSAGE_LENGTH) return failure
  const cause =
    failure.cause instanceof Error && sizeProblem(String(failure.cause)) === null ? failure.cause : undefined
  return ApplicationFailure.create({
    message: failure.message.slice(0, MAX_FAILURE_MESSAGE_LENGTH),
    ...(typeof failure.type === 'string' ? { type: failure.type } : {}),
    nonRetryable: failure.nonRetryable ?? true,
    details: problem === null ? (failure.details ?? []) : [{ truncated: true, reason: problem }],
    ...(cause === undefined || problem !== null ? {} : { cause }),
  })
}

/** Why Temporal would not store a value; null when it would. */
function sizeProblem(value: unknown): string | null {
  try {
    const size = defaultPayloadConverter.toPayload(value)?.data?.length ?? 0
    return size <= MAX_STORED_BYTES ? null : `it has ${size} bytes of JSON, and at most ${MAX_STORED_BYTES} fit`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Whether the host had begun to change anything when it was lost: Temporal keeps what an earlier attempt said. */
function hadBegun({ cause }: ActivityFailure): boolean {
  const said =
    cause instanceof TimeoutFailure ? (cause.lastHeartbeatDetails as HeartbeatDetails | undefined) : undefined
  return said?.begun === true
}

function hostLost(cause: ActivityFailure, activity: string, queue: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: OUTCOME_UNKNOWN,
    message: `${queue} had begun ${activity}, and was lost; what it did is unknown, and it is not done again`,
    nonRetryable: true,
    details: [{ queue, activity }],
    cause,
  })
}

class Routing implements WorkflowInboundCallsInterceptor, WorkflowOutboundCallsInterceptor {
  #headers: Headers = {}
  #taskQueue: string | undefined
  #beginBy: string | undefined

  async execute(input: WorkflowExecuteInput, next: Next<WorkflowInboundCallsInterceptor, 'execute'>): Promise<unknown> {
    const payload = input.headers[HEADER]
    if (payload !== undefined) {
      this.#headers = { [HEADER]: payload }
      const { task_queue, begin_by } = defaultPayloadConverter.fromPayload<RoutingHeader>(payload)
      this.#taskQueue = task_queue
      this.#beginBy = begin_by
    }
    try {
      refuseStale(this.#beginBy)
      const result = storable(await next(input))
      this.#reportClosed()
      return result
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error
      this.#reportClosed()
      throw error instanceof ApplicationFailure ? storableFailure(error) : error
    }
  }

  /** Only what the coordinator started is its concern: not children, and not what was started past it. */
  #reportClosed(): void {
    const { workflowId, parent } = workflowInfo()
    if (this.#taskQueue !== undefined && parent === undefined) proxySinks<ResileSinks>().resile.closed(workflowId)
  }

  async scheduleActivity(
    input: ActivityInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'scheduleActivity'>,
  ): Promise<unknown> {
    const taskQueue = input.options.taskQueue ?? this.#taskQueue
    const options = {
      ...input.options,
      ...(taskQueue === undefined ? {} : { taskQueue }),
      ...(input.options.scheduleToStartTimeout === undefined ? { scheduleToStartTimeout: MAX_START_DELAY_MS } : {}),
    }
    try {
      return await next({ ...input, options, headers: { ...this.#headers, ...input.headers } })
    } catch (error) {
      if (!wasNeverTaken(error)) throw error
      const queue = taskQueue ?? workflowInfo().taskQueue
      throw hadBegun(error)
        ? hostLost(error, input.activityType, queue)
        : hostUnreachable(error, input.activityType, queue)
    }
  }

  /** A local activity runs where the workflow's own tasks run: on the target only when those are the same. */
  async scheduleLocalActivity(
    input: LocalActivityInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'scheduleLocalActivity'>,
  ): Promise<unknown> {
    if (this.#taskQueue === undefined || this.#taskQueue === workflowInfo().taskQueue) return next(input)
    throw ApplicationFailure.nonRetryable(
      `${input.activityType} can't be a local activity: it would run on a worker of ${workflowInfo().taskQueue}, not of ${this.#taskQueue}`,
      'LocalActivityNotOnTarget',
    )
  }

  async continueAsNew(
    input: ContinueAsNewInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'continueAsNew'>,
  ): Promise<never> {
    return next({ ...input, headers: { ...this.#headers, ...input.headers } })
  }

  async startChildWorkflowExecution(
    input: StartChildWorkflowExecutionInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'startChildWorkflowExecution'>,
  ): Promise<[Promise<string>, Promise<unknown>]> {
    return next({ ...input, headers: { ...this.#headers, ...input.headers } })
  }
}
