/** How a remediation ends that did not help. */
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow'
import { HOST_UNREACHABLE } from '../../shared/failure-types.ts'
import type { CommandRequest, CommandResult } from './activities.ts'
import { collectDiagnostics, runCommand } from './host.ts'

/**
 * Ends the workflow as failed.
 *
 * @param facts evidence: what was seen; becomes the first of the error's `details`
 * @throws ApplicationFailure of type `type`, never retried
 */
export function fail(type: string, message: string, facts: Record<string, unknown> = {}): never {
  throw ApplicationFailure.create({ type, message, nonRetryable: true, details: [facts] })
}

/**
 * Ends the workflow as failed, with what an engineer would check first: the host's state, collected now, and the
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
  return fail(type, message, { ...facts, diagnostics })
}

/**
 * Runs a command that has to succeed.
 *
 * @throws ApplicationFailure `CommandFailed` with the command's result in `details[0].command`
 */
export async function runOrFail(request: CommandRequest): Promise<CommandResult> {
  const command = await runCommand(request)
  if (command.exitCode === 0) return command
  return fail('CommandFailed', `${request.name} exited with ${command.exitCode}`, { command })
}

/** The type of a failure, as a host or a helper gave it; null when it has none. */
export function failureType(error: unknown): string | null {
  const failure = error instanceof ActivityFailure ? error.cause : error
  return failure instanceof ApplicationFailure ? (failure.type ?? null) : null
}

/** Whether no worker on the host took an activity: the host is down, or its worker is. */
export function isHostUnreachable(error: unknown): boolean {
  return failureType(error) === HOST_UNREACHABLE
}
