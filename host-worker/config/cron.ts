import { Cron } from 'croner'

/** The times that a cron expression means. */
export interface CronTimes {
  /** The first one after a time, in milliseconds since the epoch; null when there is none. */
  after(time: number): number | null
}

/**
 * Reads a cron expression of five fields: minute, hour, day of the month, month, day of the week. A time that a clock
 * change leaves out comes as soon as it is over; one that it brings twice comes once.
 *
 * @throws Error that says what is wrong with it
 */
export function cronOf(expression: string, timeZone: string): CronTimes {
  const cron = new Cron(expression, { timezone: timeZone, mode: '5-part', paused: true })
  return { after: (time) => cron.nextRun(new Date(time))?.getTime() ?? null }
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
