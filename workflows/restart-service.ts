/** Restarts a service by one of the host's commands, and proves that it helped. */
import {
  type CommandResult,
  failWithDiagnostics,
  isOutcomeUnknown,
  milliseconds,
  type Run,
  runCommand,
  untilHealthy,
} from 'resile/workflow'

/** What it takes; declared for triggers in restart-service.hcl. */
export interface Input {
  /** Name of the command, as the host's worker.hcl allows it. */
  command: string
  params?: Record<string, string>
  /** How to see that the service is healthy. */
  check: { url: string; expectStatus?: number }
  /** How long the service may take to become healthy. */
  verify_for?: string
}

/** What it did, and how long the service took to answer again. */
export interface Result {
  healthy: true
  checks: number
  recovered_after_ms: number
  /** Null when the command was cut off, and the service is healthy all the same. */
  command: Pick<CommandResult, 'exitCode' | 'durationMs'> | null
}

/**
 * Act, verify, and when it didn't help, end failed with what an engineer would look at first.
 *
 * @throws ApplicationFailure `CommandFailed` or `NotHealthy`
 */
export async function restartService(input: Input, run: Run): Promise<Result> {
  const verifyFor = input.verify_for ?? '30s'
  const within = milliseconds(verifyFor)
  const command = await runOnce(input)
  if (command !== null && command.exitCode !== 0) {
    return failWithDiagnostics('CommandFailed', `${input.command} exited with ${command.exitCode}`, { command })
  }
  const began = Date.now()
  const { healthy, checks, last } = await untilHealthy(input.check, within)
  if (!healthy) {
    const found = last.error ?? `status ${last.status}`
    const place = run.target.node ?? run.datacenter
    const outcome = command === null ? `${input.command}, which was cut off` : input.command
    return failWithDiagnostics(
      'NotHealthy',
      `${input.check.url} on ${place} is not healthy ${verifyFor} after ${outcome}: ${found}`,
      { command, check: last },
    )
  }
  const recovered = { healthy, checks, recovered_after_ms: Date.now() - began }
  if (command === null) return { ...recovered, command }
  return { ...recovered, command: { exitCode: command.exitCode, durationMs: command.durationMs } }
}

/** Runs the command; null when it was cut off, and only the check can tell whether it helped. */
async function runOnce({ command: name, params }: Input): Promise<CommandResult | null> {
  try {
    return await runCommand({ name, ...(params === undefined ? {} : { params }) })
  } catch (error) {
    if (isOutcomeUnknown(error)) return null
    throw error
  }
}
