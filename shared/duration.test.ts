import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'
import { durationSchema } from './duration-schema.ts'

describe('parseDuration', () => {
  it.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['0s', 0],
    ['1.5h', 5_400_000],
    ['744h', 2_678_400_000],
  ])('%s → read', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each(['', '15', '-5m', '15m garbage', '1M', '1d', ' 1s', '1 s', '1e3s', '∞s', 'h'])('refuses %j', (text) =>
    expect(parseDuration(text)).toBeNull(),
  )
})

property.prop([fc.integer({ min: 0, max: 2_678_400_000 })])('formatDuration is read back as it was', (ms) => {
  expect(parseDuration(formatDuration(ms))).toBe(ms)
})

it('schema: invalid → says what is expected', () => {
  const schema = durationSchema({ min: '1s', max: '1h' })
  expect(schema.parse('1h')).toBe(3_600_000)
  expect(schema.safeParse('2h').error?.issues[0]?.message).toBe('must be at most 1h')
  expect(schema.safeParse('10ms').error?.issues[0]?.message).toBe('must be at least 1s')
  expect(schema.safeParse('soon').error?.issues[0]?.message).toContain('a duration such as')
  expect(schema.safeParse(5).error?.issues[0]?.message).toContain('a duration such as')
})
