import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLOCK_TOLERANCE_MS, ClockWatch } from './clock.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const dateOf = (time: number): string => new Date(time).toUTCString()

describe('ClockWatch', () => {
  property.prop([fc.integer({ min: -120_000, max: 120_000 }), fc.nat(5000), fc.nat(5000)])(
    'finds clocks apart that are, and never ones that are not',
    (ahead, there, back) => {
      const watch = new ClockWatch()
      // This clock is `ahead` of Temporal's, and the answer takes its time both ways.
      const answeredAt = NOW + there
      watch.observe(dateOf(answeredAt - ahead), NOW, answeredAt + back)
      if (Math.abs(ahead) <= CLOCK_TOLERANCE_MS) expect(watch.problem).toBeNull()
      if (Math.abs(ahead) > CLOCK_TOLERANCE_MS + there + back + 1000) {
        expect(watch.problem).toContain(ahead > 0 ? 'ahead of' : 'behind')
      }
    },
  )

  it('answer without a valid date → only its arrival counts', () => {
    const watch = new ClockWatch()
    watch.observe(dateOf(NOW - 60_000), NOW, NOW)
    for (const date of [null, 'yesterday', '']) watch.observe(date, NOW, NOW + 500)
    expect(watch.problem).not.toBeNull()
    expect(watch.isFresh(NOW + 600)).toBe(true)
  })

  it('clock jumps → out of date', () => {
    const watch = new ClockWatch()
    watch.observe(dateOf(NOW), NOW, NOW)
    expect(watch.isFresh(NOW + 500)).toBe(true)
    expect(watch.isFresh(NOW + CLOCK_TOLERANCE_MS)).toBe(false)
    expect(watch.isFresh(NOW - CLOCK_TOLERANCE_MS)).toBe(false)
  })

  it('no answers → not asked again at once', () => {
    const watch = new ClockWatch()
    expect(watch.mayAsk(NOW)).toBe(true)
    watch.asked(NOW)
    expect(watch.mayAsk(NOW + 100)).toBe(false)
    expect(watch.mayAsk(NOW + 5000)).toBe(true)
    watch.asked(NOW)
    watch.observe(null, NOW, NOW + 50)
    expect(watch.mayAsk(NOW + 100)).toBe(true)
  })
})
