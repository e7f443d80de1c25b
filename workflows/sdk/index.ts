/**
 * `resile/workflow`: what a remediation workflow is written with. A convenience, never a must: any Temporal workflow
 * that takes `(input, run)` will do.
 *
 * Runs inside Temporal's workflow sandbox, so it must stay deterministic and import no Node module.
 */
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  proxyActivities,
  sleep,
  TimeoutFailure,
} from '@temporalio/workflow'
import { parseDuration } from '../../shared/duration.ts'
import type { CheckRequest, CheckResult, CommandRequest, CommandResult, Diagnostics } from './activities.ts'

export type { CheckRequest, CheckResult, CommandRequest, CommandResult, Diagnostics } from './activities.ts'

/** What a workflow is told of its run, as its second argument. */
export interface Run {
  /** Id of the execution, and of the decision that admitted it. */
  execution_id: string
  workflow: string
  datacenter: string
  target: { node?: string; node_type?: string; datacenter?: string }
  reason: string | null
  trigger: { source?: string; name?: string; fingerprint?: string } | null
}

/** The activities of a host, by the names that its worker registers them under. */
export interface HostActivities {
  runCommand(request: CommandRequest): Promise<CommandResult>
  checkHttp(request: CheckRequest): Promise<CheckResult>
  collectDiagnostics(): Promise<Diagnostics>
}

/**
 * Runs one of the host's allow-listed commands. A non-zero exit returns; a command that isn't allowed, parameters that
 * don't fit and a timeout throw. It is never run a second time: when the host's worker dies under it, the command is
 * ended too, and a {@link TimeoutFailure} tells that its outcome is unknown. A cancelled workflow waits for the
 * command's end, so that nothing else is admitted while it still changes the host.
 */
export const { runCommand } = proxyActivities<HostActivities>({
  startToCloseTimeout: '24h',
  heartbeatTimeout: '15s',
  retry: { maximumAttempts: 1 },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

/** Reads only, so it may be repeated at will. */
export const { checkHttp, collectDiagnostics } = proxyActivities<HostActivities>({
  startToCloseTimeout: '2m',
  scheduleToCloseTimeout: '5m',
  retry: { initialInterval: '500ms', maximumInterval: '5s' },
})

/** Whether an activity was cut off, so that what it did is unknown. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure
}

/** Outcome of {@link untilHealthy}. */
export interface HealthReport {
  healthy: boolean
  /** Number of checks made. */
  checks: number
  last: CheckResult
}

/**
 * Checks until healthy, or until `within` has passed.
 *
 * @param within milliseconds
 * @param pause  milliseconds between two checks
 */
export async function untilHealthy(check: CheckRequest, within: number, pause = 1000): Promise<HealthReport> {
  const deadline = Date.now() + within
  for (let checks = 1; ; checks++) {
    const last = await checkHttp(check)
    if (last.ok || Date.now() + pause >= deadline) return { healthy: last.ok, checks, last }
    await sleep(pause)
  }
}

/**
 * Ends the workflow as failed, with what an engineer would look at first: the host's state, collected now, and the
 * facts given.
 *
 * @throws ApplicationFailure of type `type`, never retried
 */
export async function failWithDiagnostics(
  type: string,
  message: string,
  facts: Record<string, unknown>,
): Promise<never> {
  const diagnostics = await collectDiagnostics().catch((error: unknown) => ({
    unavailable: error instanceof Error ? error.message : String(error),
  }))
  throw ApplicationFailure.create({ type, message, nonRetryable: true, details: [{ ...facts, diagnostics }] })
}

/**
 * Milliseconds of a duration such as `"1m30s"`.
 *
 * @throws ApplicationFailure `InvalidInput` when the text is none
 */
export function milliseconds(duration: string): number {
  const ms = parseDuration(duration)
  if (ms === null) throw ApplicationFailure.nonRetryable(`not a duration: ${JSON.stringify(duration)}`, 'InvalidInput')
  return ms
}
