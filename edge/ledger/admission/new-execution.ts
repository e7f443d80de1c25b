import type { ExecutionRow } from '../store/execution-row.ts'
import type { Submission } from '../types.ts'
import { isExclusive } from './judge.ts'

/** How long an attempt to start or to reserve may take: after that the alarm makes the next one. */
export const ATTEMPT_TIMEOUT_MS = 6000

/** The row of an execution that is admitted now. */
export function newExecution(submission: Submission, now: number): ExecutionRow {
  const { id, trigger } = submission
  const overdueAfter = trigger.constraints
    .filter((constraint) => constraint.kind === 'concurrency')
    .map((constraint) => constraint.period ?? Number.POSITIVE_INFINITY)
  const soonest = Math.min(...overdueAfter)
  return {
    id,
    workflowId: id,
    admitted: true,
    workflow: trigger.workflow,
    node: trigger.node,
    target: trigger.target,
    taskQueue: trigger.taskQueue,
    forward: { ...trigger.start, datacenter: trigger.datacenter, reason: trigger.reason, trigger: trigger.trigger },
    phase: 'starting',
    status: 'pending',
    exclusive: isExclusive(trigger.constraints),
    limits: trigger.constraints,
    central: trigger.constraints.some(({ isCentral }) => isCentral),
    admittedAt: now,
    validUntil: now + trigger.validFor,
    reopenedAt: null,
    overdueAt: Number.isFinite(soonest) ? now + soonest : null,
    // The request makes the first attempt at once, so the row is written as if it had been sent: should the
    // coordinator die between commit and send, "may be sent" is the safe assumption.
    attempts: 1,
    maybeSent: true,
    nextAt: now + ATTEMPT_TIMEOUT_MS,
    runId: null,
    firstRunId: null,
    namespaceId: null,
    startedAt: null,
    closedAt: null,
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
}
