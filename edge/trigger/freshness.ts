/** Events are about what was so when they came to be: long after that nothing may be started for their sake. */
import { ProblemError } from '../http/problem.ts'

/** How old an event may be, and how far in the future its time may lie, in milliseconds. */
const OLDEST = 3_600_000
const AHEAD = 300_000

/**
 * Refuses an event that is too old, or not yet to be.
 *
 * @param time  RFC 3339
 * @param place JSON Pointer of where that stands
 * @throws ProblemError `bad_request`
 */
export function refuseStale(time: string, place: string): void {
  const late = Date.now() - Date.parse(time)
  if (late <= OLDEST && -late <= AHEAD) return
  const seconds = Math.round(Math.abs(late) / 1000)
  const message = late > 0 ? `lies ${seconds} seconds in the past` : `lies ${seconds} seconds in the future`
  throw new ProblemError('bad_request', `the event is not of now: its time ${message}`, {
    errors: [{ path: place, message }],
  })
}
