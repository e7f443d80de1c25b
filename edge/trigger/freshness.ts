/** Events describe the past: long after one occurred, nothing may be started because of it. */
import { ProblemError } from '../http/problem.ts'

/** How old an event may be. */
const MAX_AGE_MS = 3_600_000
/** How far in the future its time may be. */
const MAX_AHEAD_MS = 300_000

/**
 * Refuses an event whose time is too old or too far in the future.
 *
 * @param time  RFC 3339
 * @param pointer JSON Pointer of that time
 * @throws ProblemError `bad_request`
 */
export function refuseStale(time: string, pointer: string): void {
  const late = Date.now() - Date.parse(time)
  if (late <= MAX_AGE_MS && -late <= MAX_AHEAD_MS) return
  const seconds = Math.round(Math.abs(late) / 1000)
  const message = late > 0 ? `is ${seconds} seconds in the past` : `is ${seconds} seconds in the future`
  throw new ProblemError('bad_request', `the event is not current: its time ${message}`, {
    errors: [{ path: pointer, message }],
  })
}
