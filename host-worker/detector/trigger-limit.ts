/** How many triggers a detector may send within how long. Pure; times in milliseconds. */
import type { Episode } from './episodes.ts'

/** At most so many new triggers within so long. */
export interface TriggerLimit {
  triggers: number
  per: number
}

/**
 * Divides what is due into what may go out and what has to wait. Only a new trigger uses the limit up, not a further
 * attempt at one.
 *
 * @param times when new triggers went out before
 * @returns with `until`, when the limit lets another one out
 */
export function limitTriggers(
  due: readonly Episode[],
  times: readonly number[],
  limit: TriggerLimit | undefined,
  now: number,
): { send: Episode[]; held: Episode[]; times: number[]; until: number } {
  if (limit === undefined) return { send: [...due], held: [], times: [], until: now }
  // After the clock was set back, times in the future count as now.
  const used = times.map((time) => Math.min(time, now)).filter((time) => now - time < limit.per)
  const send: Episode[] = []
  const held: Episode[] = []
  for (const episode of due) {
    if (episode.sent !== null) send.push(episode)
    else if (used.length < limit.triggers) {
      used.push(now)
      send.push(episode)
    } else held.push(episode)
  }
  const oldest = used[used.length - limit.triggers]
  return { send, held, times: used, until: oldest === undefined ? now : oldest + limit.per }
}
