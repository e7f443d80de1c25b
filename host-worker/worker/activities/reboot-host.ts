/** Reboots the host by one of its commands. The boot id shows whether that has happened. */
import { ApplicationFailure } from '@temporalio/common'
import { formatDuration, parseDuration } from '../../../shared/duration.ts'
import type { CommandResult, RebootRequest, RebootResult } from '../../../workflows/sdk/activities.ts'
import { UNKNOWN_BOOT } from '../../process/boot-id.ts'
import { CANCELED, type Change, isOfEarlierBoot, type Outcome } from '../journal/journal.ts'
import { carryToEnd } from '../journal/run-detached.ts'
import { bindingOf, type CommandHost, processOrder, resolveCommand } from './run-command.ts'

/** How long a reboot command that has failed may have rebooted the machine all the same, in milliseconds. */
const FAILED_GRACE_MS = 5000
/** Exit codes from here on are signals. */
const EXIT_SIGNALLED = 128

/**
 * The activity `rebootHost`. Ordered once: an attempt after the boot, or after the death of the worker, finds the order
 * in the journal, and the boot id says what became of it.
 *
 * @throws ApplicationFailure, not retried: `CommandNotAllowed`, `InvalidParams`, `BootIdUnknown`, `CommandFailed`,
 *   `NotRebooted`, and those of {@link carryToEnd}
 */
export function rebootHostActivity(host: CommandHost): (request: RebootRequest) => Promise<RebootResult> {
  return async (request) => {
    const resolved = resolveCommand(host, { ...request, name: request.command })
    const { name, command, argv } = resolved
    const binding = bindingOf(resolved)
    const within = parseDuration(request.within)
    if (within === null) throw ApplicationFailure.nonRetryable(`not a duration: ${request.within}`, 'InvalidParams')
    if ((await host.bootId()) === UNKNOWN_BOOT) {
      throw ApplicationFailure.nonRetryable(`${host.node} provides no boot id`, 'BootIdUnknown')
    }
    return (await carryToEnd(host, {
      what: `reboot by command ${name}`,
      binding,
      command: processOrder(host, argv),
      timeout: command.timeout,
      lasts: within,
      judge: (change, bootId) => judgeReboot(change, bootId, within, Date.now()),
    })) as RebootResult
  }
}

/**
 * What has become of a reboot.
 *
 * @param bootId of now
 * @param within milliseconds that it may take
 * @param now    milliseconds since the epoch
 * @returns null while it may still happen
 */
function judgeReboot(change: Change, bootId: string, within: number, now: number): Outcome | null {
  const took = now - change.begunAt
  if (isOfEarlierBoot(change, bootId)) {
    const result: RebootResult = { previousBootId: change.bootId, bootId, durationMs: took }
    return { kind: 'result', result }
  }
  const failed = failureOf(change.command)
  if (failed !== null && took > FAILED_GRACE_MS) return failed
  if (took <= within) return null
  const message = `the machine has not rebooted ${formatDuration(within)} after it was ordered to`
  const { command } = change
  const details = {
    boot_id: bootId,
    ordered_at: new Date(change.begunAt).toISOString(),
    command: command === null ? null : command.kind === 'result' ? command.result : brief(command),
  }
  return { kind: 'failure', type: 'NotRebooted', message, details }
}

/** How the reboot's command failed. */
function brief({ type, message, details }: Extract<Outcome, { kind: 'failure' }>): object {
  return { type, message, ...(details === undefined ? {} : { details }) }
}

/**
 * Why the command can't have rebooted the machine; null when it may have, or still runs. One that a signal ended, or that
 * took too long, may have been ended by the very shutdown that it ordered.
 */
function failureOf(command: Outcome | null): Outcome | null {
  if (command === null) return null
  if (command.kind === 'failure') return command.type === CANCELED ? command : null
  const result = command.result as CommandResult
  if (result.exitCode === 0 || result.exitCode >= EXIT_SIGNALLED) return null
  const message = `the reboot command exited with ${result.exitCode}`
  return { kind: 'failure', type: 'CommandFailed', message, details: { command: result } }
}
