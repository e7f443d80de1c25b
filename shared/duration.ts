import parse from 'parse-duration'

const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/

/** The rule for durations, for error messages. */
export const DURATION_RULE = 'a duration such as "90s", "15m" or "1h30m" (units ms s m h)'

/**
 * Milliseconds of a duration such as `"1h30m"`, or null when the text is none.
 *
 * The pattern comes before the library because the library also accepts `"15"`, `"-5m"` and `"15m garbage"`.
 */
export function parseDuration(text: string): number | null {
  if (!DURATION_PATTERN.test(text)) return null
  const ms = parse(text)
  return ms === null || !Number.isFinite(ms) ? null : Math.round(ms)
}

/** The shortest text for a number of milliseconds, such as `"1h30m"`; the inverse of {@link parseDuration}. */
export function formatDuration(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const
  let rest = Math.round(ms)
  let text = ''
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text === '' ? '0s' : text
}
