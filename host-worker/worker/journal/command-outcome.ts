import { formatDuration } from '../../../shared/duration.ts'
import type { CommandResult } from '../../../workflows/sdk/activities.ts'
import { CANCELED, type Outcome } from './journal.ts'

/**
 * What is to be said of a process that has ended.
 *
 * @param cancelled whether it was ended by a cancellation, and not by its timeout
 * @param timeout   milliseconds that it had
 */
export function commandOutcome(
  argv: readonly string[],
  { output, killed }: { output: CommandResult; killed: boolean },
  cancelled: boolean,
  timeout: number,
): Outcome {
  if (!killed) return { kind: 'result', result: output }
  if (cancelled) return { kind: 'failure', type: CANCELED, message: 'the command was cancelled' }
  const message = `${argv[0]} ran longer than ${formatDuration(timeout)}`
  return { kind: 'failure', type: 'CommandTimeout', message, details: output }
}
