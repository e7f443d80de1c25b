/**
 * Why an open execution makes no progress: its workflow task fails again and again, or nobody takes it. Pure.
 *
 * @see https://github.com/temporalio/api, temporal/api/workflow/v1/message.proto, `PendingWorkflowTaskInfo`
 */
import { decodePayload, type Payload } from '../../shared/payload.ts'
import { truncate } from '../../shared/truncate.ts'
import type { ExecutionError } from '../../shared/wire.ts'
import type { TemporalAnswer } from './client.ts'

/** How long a workflow task waits for a worker before that is a problem, in milliseconds. */
const TAKEN_WITHIN_MS = 45_000
/** Attempts from which on a task counts as failing: one may fail because its worker was restarted. */
const FAILING_ATTEMPTS = 3
/** Length of a reason, in characters: an SDK may put whole results into it. */
const MAX_REASON_LENGTH = 500

/** A workflow task that does not get on. Times in milliseconds since the epoch. */
export interface StuckTask {
  /** Null while no worker has taken it. */
  attempts: number | null
  since: number
  /** What Temporal reports of it, such as `cause=WorkflowTaskFailedCauseWorkflowWorkerUnhandledFailure`. */
  reported: string[]
}

/** The workflow task of an open execution that makes no progress; null when there is none, or it does. */
export function stuckTask(described: TemporalAnswer, now: number): StuckTask | null {
  if (described.ok !== true) return null
  const { pendingWorkflowTask: task, workflowExecutionInfo: info } = described.body as Description
  if (task === undefined) return null
  const since = Date.parse(task.originalScheduledTime ?? task.scheduledTime ?? '')
  if (Number.isNaN(since)) return null
  const payload = info?.searchAttributes?.indexedFields?.TemporalReportedProblems
  const known = payload === undefined ? null : decodePayload(payload)
  const reported = Array.isArray(known) ? known.map(String) : []
  const attempts = task.attempt ?? 1
  if (attempts >= FAILING_ATTEMPTS) return { attempts, since, reported }
  const isUntaken = task.state !== 'PENDING_WORKFLOW_TASK_STATE_STARTED' && now - since > TAKEN_WITHIN_MS
  return isUntaken ? { attempts: null, since, reported } : null
}

/**
 * The problem as an execution's error.
 *
 * @param latest the last events of its history, newest first
 */
export function stuckError(task: StuckTask, latest: TemporalAnswer): ExecutionError {
  const since = new Date(task.since).toISOString()
  if (task.attempts === null) {
    return { type: 'WorkflowTaskNotTaken', message: `no worker has taken its workflow task since ${since}`, since }
  }
  const { cause, reason } = lastFailure(latest) ?? { cause: task.reported.join(' '), reason: '' }
  const why = [reason, cause].find((text) => text !== '') ?? 'its worker does not answer'
  const message = `the workflow's code fails, and is tried again: ${truncate(why, MAX_REASON_LENGTH)}`
  return { type: 'WorkflowTaskFailed', message, cause: cause === '' ? 'WORKFLOW_TASK_TIMED_OUT' : cause, since }
}

/** Why the last workflow task failed: Temporal records the first of several failures alone. */
function lastFailure(latest: TemporalAnswer): { cause: string; reason: string } | null {
  if (latest.ok !== true) return null
  const { history } = latest.body as { history?: { events?: TaskEvent[] } }
  const failed = history?.events?.find((event) => event.workflowTaskFailedEventAttributes !== undefined)
  const attributes = failed?.workflowTaskFailedEventAttributes
  if (attributes === undefined) return null
  const { cause = '', failure } = attributes
  return { cause: cause.replace('WORKFLOW_TASK_FAILED_CAUSE_', ''), reason: failure?.message ?? '' }
}

interface Description {
  pendingWorkflowTask?: { state?: string; attempt?: number; scheduledTime?: string; originalScheduledTime?: string }
  workflowExecutionInfo?: { searchAttributes?: { indexedFields?: Record<string, Payload> } }
}

interface TaskEvent {
  workflowTaskFailedEventAttributes?: { cause?: string; failure?: { message?: string } }
}
