import { Cron } from 'croner'
import { firstOffsetChange, offsetAt } from './time-zone.ts'

/** The times that a cron expression means. */
export interface CronTimes {
  /** The first one after a time, in milliseconds since the epoch; null when there is none. */
  after(time: number): number | null
}

/**
 * Reads a cron expression of five fields: minute, hour, day of the month, month, day of the week.
 *
 * When a clock change leaves an hour out, a fixed time in it comes as soon as it is over. When one comes twice, fixed times
 * come once; wildcards and ranges of minutes or hours come in both passes, so that what runs each minute never pauses.
 *
 * @throws Error that says what is wrong with it
 * @see cron(8) of Vixie cron, whose rules for clock changes these are
 */
export function cronOf(expression: string, timeZone: string): CronTimes {
  const cron = new Cron(expression, { timezone: timeZone, mode: '5-part', paused: true })
  if (!runsThrough(expression)) return { after: (time) => cron.nextRun(new Date(time))?.getTime() ?? null }
  // Of the clock on the wall, which is written here as if it were UTC.
  const wall = new Cron(expression, { timezone: 'UTC', mode: '5-part', paused: true })
  return {
    after(time) {
      for (let from = time; ; ) {
        const offset = offsetAt(timeZone, from + 1)
        const next = wall.nextRun(new Date(from + offset))
        if (next === null) return null
        const found = next.getTime() - offset
        const change = firstOffsetChange(timeZone, from + 1, found)
        if (change === null) return found
        from = change - 1
      }
    },
  }
}

/** Whether minutes or hours are wildcards or ranges. Names are of months and days only. */
function runsThrough(expression: string): boolean {
  const [minute = '', hour = ''] = expression.trim().split(/\s+/)
  return /[*?-]/.test(`${minute}${hour}`) || expression.startsWith('@hourly')
}

/** The error in a cron expression, or null. */
export function cronProblem(expression: string, timeZone: string): string | null {
  try {
    return cronOf(expression, timeZone).after(Date.now()) === null ? 'matches no date' : null
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return `not a cron expression: ${message.replace(/^Cron\w*: /, '')}`
  }
}
