import { expect, it } from 'vitest'
import { judgeClock } from './clock.ts'

const noon = Date.parse('2026-01-01T12:00:00Z')
/** What is found when this host is ahead by so many milliseconds, and the answer took some time. */
const ahead = (by: number, took = 20) =>
  judgeClock({ date: 'Thu, 01 Jan 2026 12:00:00 GMT', askedAt: noon + by, answeredAt: noon + by + took })

it.each([
  [0, 'ok'],
  // The other's 12:00:00 lasts until just before 12:00:01.
  [2999, 'ok'],
  [3100, 'warn'],
  [-2000, 'ok'],
  [-2100, 'warn'],
  [10_900, 'warn'],
  [11_100, 'fail'],
  [-10_100, 'fail'],
])('clock: %i ms ahead → %s', (by, status) => {
  expect(ahead(by).status).toBe(status)
})

it('clock: slow answer → tolerated', () => {
  expect(ahead(-5000, 5000).status).toBe('ok')
})

it('clock: skew → amount and direction', () => {
  expect(ahead(60_999)).toMatchObject({ detail: '60.0 s ahead of the coordinator', hint: expect.any(String) })
  expect(ahead(-60_020)).toMatchObject({ detail: '60.0 s behind the coordinator' })
})

it('clock: invalid Date → warning', () => {
  expect(judgeClock({ date: 'yesterday', askedAt: 0, answeredAt: 0 }).status).toBe('warn')
})
