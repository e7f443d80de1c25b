import { formatDuration } from '../../../shared/duration.ts'
import { log } from '../../../shared/log.ts'
import type { ProcessEnd } from '../../process/run-process.ts'
import { CANCELED, type Outcome } from './journal.ts'

/**
 * What is to be said of a process that has ended.
 *
 * @param cancelled whether it was ended by a cancellation, and not by its timeout
 * @param timeout   milliseconds that it had
 */
export function commandOutcome(
  argv: readonly string[],
  { output, killed, survivors }: ProcessEnd,
  cancelled: boolean,
  timeout: number,
): Outcome {
  if (survivors.length > 0) log('error', 'processes_survive', { command: argv[0], processes: survivors })
  if (!killed) return { kind: 'result', result: output }
  const names = survivors.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ')
  const left = survivors.length === 0 ? '' : `, and could not be ended: ${names} still runs`
  if (cancelled) return { kind: 'failure', type: CANCELED, message: `the command was cancelled${left}` }
  const message = `${argv[0]} ran longer than ${formatDuration(timeout)}${left}`
  return { kind: 'failure', type: 'CommandTimeout', message, details: output }
}
