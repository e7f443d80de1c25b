import { z } from 'zod'
import { DURATION_RULE, parseDuration } from './duration.ts'

/**
 * Schema of a duration: text in, milliseconds out.
 *
 * @param bounds smallest and largest permitted value, as durations
 */
export function durationSchema(bounds: { min?: string; max?: string } = {}): z.ZodType<number, string> {
  const min = bounds.min === undefined ? null : parseDuration(bounds.min)
  const max = bounds.max === undefined ? null : parseDuration(bounds.max)
  return z.string({ error: `expected ${DURATION_RULE}` }).transform((text, context) => {
    const ms = parseDuration(text)
    const problem =
      ms === null
        ? `expected ${DURATION_RULE}`
        : min !== null && ms < min
          ? `must be at least ${bounds.min}`
          : max !== null && ms > max
            ? `must be at most ${bounds.max}`
            : null
    if (problem === null && ms !== null) return ms
    context.addIssue({ code: 'custom', message: problem ?? 'invalid duration' })
    return z.NEVER
  })
}
