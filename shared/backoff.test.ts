import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoff, exponentialWait } from './backoff.ts'

const LIMITS = { first: 500, max: 5000 }

test('back-off: each further attempt → doubled up to the maximum', () => {
  const waits = [1, 2, 3, 4, 5, 6].map((attempts) => exponentialWait(attempts, LIMITS))
  expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000])
})

property.prop([fc.integer({ min: 1, max: 1e9 }), fc.double({ min: 0, max: 1, noNaN: true })])(
  'back-off: any number of attempts → within 20 % of the exponential wait',
  (attempts, random) => {
    const share = backoff(attempts, LIMITS, () => random) / exponentialWait(attempts, LIMITS)
    expect(share).toBeGreaterThanOrEqual(0.8 - 1e-9)
    expect(share).toBeLessThanOrEqual(1.2 + 1e-9)
  },
)
