/** How far the clocks of a time zone are from UTC, and when that changes. Times in milliseconds since the epoch. */

const DAY_MS = 24 * 3_600_000

const formats = new Map<string, Intl.DateTimeFormat>()

/** What is added to UTC, in milliseconds. */
export function offsetAt(timeZone: string, time: number): number {
  const known = formats.get(timeZone)
  const format =
    known ??
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  if (known === undefined) formats.set(timeZone, format)
  const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(time / 1000) * 1000
}

/** The first time after `from`, `until` at the latest, at which the offset is another one; null when it stays. */
export function firstOffsetChange(timeZone: string, from: number, until: number): number | null {
  const offset = offsetAt(timeZone, from)
  for (let same = from; same < until; ) {
    const next = Math.min(same + DAY_MS, until)
    if (offsetAt(timeZone, next) !== offset) return changeBetween(timeZone, same, next, offset)
    same = next
  }
  return null
}

/** @param same a time with the offset @param other a later one with another offset */
function changeBetween(timeZone: string, same: number, other: number, offset: number): number {
  let [low, high] = [same, other]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(timeZone, middle) === offset) low = middle
    else high = middle
  }
  return high
}
