import { z } from 'zod'
import type { ScheduleConfig } from '../../../shared/config.ts'
import { cronOf } from '../../config/cron.ts'
import { type Firing, fingerprintOf, type Observation } from './observation.ts'
import type { Notice, Source } from './source.ts'

/** How late a start may be noticed, in milliseconds, and not count as missed. */
const LATE_AFTER_MS = 60_000
/** How far a clock may be set back, in milliseconds, and starts that came already are waited out. */
const DAY_MS = 24 * 3_600_000
/** Spans in which the newest of many starts is searched, the shortest first. */
const SPANS = [2 * 60_000, 3_600_000, 24 * 3_600_000, 31 * 24 * 3_600_000]

const time = z.number().min(0).max(8.64e15)
const stateSchema = z.object({
  handled: time,
  current: z.object({ at: time, until: time }).nullable(),
})
/** Up to when starts were dealt with, and the one that fires, until when. Milliseconds since the epoch. */
type State = z.output<typeof stateSchema>

/**
 * Fires at the times of a schedule, for `retry_for` each or until the next: so long a start that isn't admitted is tried
 * again. Of the starts that were missed during downtime the newest is made up for, or none.
 */
export function watchSchedule({ cron, time_zone, missed, retry_for }: ScheduleConfig, stored: unknown): Source {
  const times = cronOf(cron, time_zone)
  const parsed = stateSchema.safeParse(stored)
  let state: State | null = parsed.success ? parsed.data : null
  let noticed: Notice[] = []

  const newestSince = (since: number, now: number): number | null => {
    const starts = [...SPANS.map((span) => Math.max(since, now - span)), since]
    for (const start of starts) {
      let newest: number | null = null
      for (let next = times.after(start); next !== null && next <= now; next = times.after(next)) newest = next
      if (newest !== null || start === since) return newest
    }
    return null
  }

  return {
    async observe(now): Promise<Observation> {
      let { handled, current } = state ?? { handled: now, current: null }
      // After a clock that was wrong by days: silence for as long would be worse.
      if (handled - now > DAY_MS) {
        noticed.push({ level: 'warn', event: 'schedule_clock_set_back', was: textOf(handled) })
        handled = now
      }
      // None before `handled`: a clock that was set back a little makes no start come twice.
      const newest = newestSince(handled, now)
      const isMissed = newest !== null && now - newest > LATE_AFTER_MS
      if (isMissed)
        noticed.push({ level: 'warn', event: 'schedule_missed', at: textOf(newest), made_up_for: missed === 'once' })
      const fires = newest !== null && (!isMissed || missed === 'once')
      const isKept = current !== null && now < current.until && newest === null
      const kept = isKept ? { ...current, until: Math.min(current.until, now + retry_for) } : null
      const firing = fires ? { at: newest, until: now + retry_for } : kept
      state = { handled: newest ?? handled, current: firing }
      return { firing: firing === null ? [] : [firingOf(firing.at, cron, time_zone)] }
    },
    state: () => state,
    notices() {
      const since = noticed
      noticed = []
      return since
    },
  }
}

function firingOf(at: number, cron: string, timeZone: string): Firing {
  const scheduled_at = textOf(at)
  return {
    fingerprint: fingerprintOf({ scheduled_at }),
    labels: { scheduled_at },
    annotations: {},
    value: scheduled_at,
    summary: `scheduled for ${scheduled_at} by "${cron}" (${timeZone})`,
  }
}

function textOf(at: number): string {
  return new Date(at).toISOString()
}
