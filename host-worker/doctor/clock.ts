/** Whether two clocks agree. */
import { type Finding, fail, ok, warn } from './check.ts'

/** The clock skew that is reported, and the one at which nothing is admitted any more. */
const WARN_SKEW_MS = 2000
const MAX_SKEW_MS = 10_000

/** The `Date` of an answer, and when it was asked for and came; milliseconds since the epoch. */
export interface Reading {
  date: string
  askedAt: number
  answeredAt: number
}

/**
 * Judges the host's clock by another's. A `Date` has whole seconds, and was written at some moment between question and
 * answer: only what can't be explained by that counts.
 */
export function judgeClock({ date, askedAt, answeredAt }: Reading): Finding {
  const theirs = Date.parse(date)
  if (Number.isNaN(theirs)) return warn(`the coordinator's Date can't be read: ${date}`)
  const ahead = askedAt - (theirs + 999)
  const behind = theirs - answeredAt
  const apart = Math.max(0, ahead, behind)
  if (apart <= WARN_SKEW_MS) return ok('agrees with that of the coordinator')
  const detail = `${(apart / 1000).toFixed(1)} s ${ahead > 0 ? 'ahead of' : 'behind'} the coordinator`
  const hint = 'have both machines set their clocks by the same time service (timedatectl status)'
  return apart > MAX_SKEW_MS ? fail(detail, hint) : warn(detail, hint)
}
