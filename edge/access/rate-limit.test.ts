import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InFlight, type Purpose, purposeOf, RateLimit } from './rate-limit.ts'

const purpose = fc.constantFrom<Purpose>('trigger', 'operation')

it.each<[string, string, Purpose]>([
  ['POST', '/v1/workflows/w/executions', 'trigger'],
  ['POST', '/v1/workflows/w/evaluate', 'trigger'],
  ['POST', '/v1/triggers/webhook/ci', 'trigger'],
  ['POST', '/v1/workflows/w/reset', 'operation'],
  ['GET', '/v1/workflows/w/executions', 'operation'],
  ['POST', '/v1/executions/1/cancel', 'operation'],
  ['POST', '/v1/freezes', 'operation'],
  ['PUT', '/v1/nodes/web-1', 'operation'],
])('purpose of %s %s → %s', (method, path, expected) => expect(purposeOf(method, path)).toBe(expected))

describe('rate of a caller', () => {
  it('any requests → as a bucket that fills every millisecond, per caller', () => {
    const steps = fc.array(
      fc.record({
        caller: fc.constantFrom('a', 'b'),
        purpose,
        times: fc.integer({ min: 1, max: 30 }),
        after: fc.oneof(fc.constant(0), fc.integer({ min: -50, max: 3000 })),
      }),
      { maxLength: 60 },
    )
    const property = fc.property(fc.integer({ min: 1, max: 20 }), steps, (rate, list) => {
      const limit = new RateLimit(rate)
      const model = new Map(['a', 'b'].map((caller) => [caller, { tokens: 5 * rate * 1000, seen: 1e12 }]))
      let now = 1e12
      for (const { caller, purpose, times, after } of list) {
        now += after
        const bucket = model.get(caller) ?? { tokens: 0, seen: 0 }
        for (let time = 0; time < times; time++) {
          const earned = Math.max(0, now - bucket.seen) * rate
          const tokens = Math.min(5 * rate * 1000, bucket.tokens + earned)
          const passes = tokens - 1000 >= (purpose === 'trigger' ? rate * 1000 : 0)
          expect(limit.take(caller, purpose, now) === 0).toBe(passes)
          if (passes) Object.assign(bucket, { tokens: tokens - 1000, seen: now })
          else bucket.seen = Math.min(bucket.seen, now)
        }
      }
    })
    fc.assert(property, { numRuns: 300 })
  })

  it('refused request → wait until exactly the next one passes', () => {
    const property = fc.property(fc.integer({ min: 1, max: 1000 }), purpose, fc.nat(100), (rate, purpose, elapsed) => {
      const limit = new RateLimit(rate)
      let now = 5000
      while (limit.take('a', purpose, now) === 0);
      now += elapsed
      const wait = limit.take('a', purpose, now)
      if (wait === 0) return
      expect(limit.take('a', purpose, now + wait - 1)).toBe(1)
      expect(limit.take('a', purpose, now + wait)).toBe(0)
    })
    fc.assert(property)
  })

  it('clock set back → continues, and is full only when it has caught up', () => {
    const limit = new RateLimit(10)
    while (limit.take('a', 'operation', 3_600_000) === 0);
    const wait = limit.take('a', 'operation', 1000)
    expect(wait).toBe(100)
    expect(limit.take('a', 'operation', 1000 + wait)).toBe(0)
  })

  it('many triggers → a fifth left for operations', () => {
    const limit = new RateLimit(10)
    const passed = Array.from({ length: 500 }, () => limit.take('a', 'trigger', 1)).filter((wait) => wait === 0)
    expect(passed).toHaveLength(40)
    const operations = Array.from({ length: 500 }, () => limit.take('a', 'operation', 1)).filter((wait) => wait === 0)
    expect(operations).toHaveLength(10)
    expect(limit.take('b', 'trigger', 1)).toBe(0)
  })

  it('many callers → bounded number, full buckets forgotten first, then the oldest', () => {
    const limit = new RateLimit(10, 3)
    const drain = (caller: string, now: number): void => {
      while (limit.take(caller, 'operation', now) === 0);
    }
    drain('a', 0)
    drain('b', 1)
    limit.take('full', 'operation', 2)
    limit.take('c', 'operation', 2000)
    // `a` and `b` are still known, with what flowed back.
    expect(limit.size).toBe(3)
    drain('c', 2000)
    drain('a', 2000)
    // None is full, and `b` came least lately.
    drain('d', 2001)
    expect(limit.size).toBe(3)
    for (const known of ['a', 'c', 'd']) expect(limit.take(known, 'operation', 2001)).toBeGreaterThan(0)
    expect(limit.take('b', 'operation', 2001)).toBe(0)
  })

  it('any sequence of callers → bounded', () => {
    const calls = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: -100, max: 400 })), { maxLength: 200 })
    const property = fc.property(calls, fc.integer({ min: 1, max: 8 }), (list, most) => {
      const limit = new RateLimit(3, most)
      let now = 0
      for (const [caller, after] of list) {
        now += after
        limit.take(String(caller), 'operation', now)
        expect(limit.size).toBeLessThanOrEqual(most)
      }
    })
    fc.assert(property)
  })
})

describe('requests in flight', () => {
  it('too many → shed, triggers first', () => {
    const inFlight = new InFlight({ trigger: 2, operation: 3 })
    const [first, second] = [inFlight.enter('trigger', 0), inFlight.enter('operation', 0)]
    expect(inFlight.enter('trigger', 0)).toBeNull()
    const third = inFlight.enter('operation', 0)
    expect(inFlight.enter('operation', 0)).toBeNull()
    third?.()
    third?.()
    expect(inFlight.enter('trigger', 0)).toBeNull()
    first?.()
    expect(second === null || inFlight.enter('trigger', 0) === null).toBe(false)
  })

  it('requests never counted out → forgotten', () => {
    const inFlight = new InFlight({ trigger: 1, operation: 1 })
    inFlight.enter('trigger', 0)
    expect(inFlight.enter('trigger', 89_999)).toBeNull()
    expect(inFlight.enter('trigger', 90_000)).not.toBeNull()
  })
})
