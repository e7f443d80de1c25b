import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Constraint } from './config.ts'
import {
  decide,
  joinReceipts,
  judge,
  judgeExclusive,
  judgeFailures,
  judgeUnavailable,
  type ScopeUsage,
} from './constraints.ts'

const HOUR = 3_600_000
const SCOPE = { scope: 'datacenter', key: 'dc1' } as const

function maxExecution(value: number, period: number): Constraint {
  return { kind: 'maxExecution', value, period, is_global: false }
}

function concurrency(value: number): Constraint {
  return { kind: 'concurrency', value, is_global: false }
}

/** What a ledger would know, from plain lists; `starts` in any order. */
function useOf({
  starts = [],
  pending = 0,
  open = 0,
}: {
  starts?: number[]
  pending?: number
  open?: number
}): ScopeUsage {
  const sorted = [...starts].sort((a, b) => a - b)
  const after = (time: number): number[] => sorted.filter((start) => start > time)
  return {
    open,
    pending,
    startsAfter: (time) => after(time).length,
    startAfter: (time, index) => after(time)[index] ?? Number.NaN,
  }
}

describe('maxExecution', () => {
  it('below the limit → allowed; at it → denied', () => {
    const now = 100 * HOUR
    expect(judge(maxExecution(2, HOUR), SCOPE, useOf({ starts: [now - 1] }), now)).toMatchObject({
      allowed: true,
      used: 1,
      allowedAt: now,
    })
    expect(judge(maxExecution(2, HOUR), SCOPE, useOf({ starts: [now - 1, now - 2] }), now)).toMatchObject({
      allowed: false,
      used: 2,
      allowedAt: now - 2 + HOUR,
    })
  })

  it('confirmed start one period ago → free again', () => {
    const start = 5 * HOUR
    expect(judge(maxExecution(1, HOUR), SCOPE, useOf({ starts: [start] }), start + HOUR - 1).allowed).toBe(false)
    expect(judge(maxExecution(1, HOUR), SCOPE, useOf({ starts: [start] }), start + HOUR).allowed).toBe(true)
  })

  it('pending starts → counted as confirmed now, however old', () => {
    const now = 9 * HOUR
    expect(judge(maxExecution(1, HOUR), SCOPE, useOf({ pending: 1 }), now)).toMatchObject({
      allowed: false,
      allowedAt: now + HOUR,
    })
  })

  it('limit lowered → waits for as many to leave', () => {
    const now = 9 * HOUR
    const starts = [now - 30, now - 20, now - 10]
    expect(judge(maxExecution(1, HOUR), SCOPE, useOf({ starts }), now)).toMatchObject({
      used: 3,
      allowedAt: now - 10 + HOUR,
    })
  })

  it('limit 0, or no period → never allowed', () => {
    expect(judge(maxExecution(0, HOUR), SCOPE, useOf({}), 1)).toMatchObject({ allowed: false, allowedAt: null })
    const broken = { kind: 'maxExecution', value: 5, is_global: false } as Constraint
    expect(judge(broken, SCOPE, useOf({}), 1)).toMatchObject({ allowed: false, allowedAt: null })
  })
})

describe('concurrency', () => {
  it('open executions → counted, however old', () => {
    expect(judge(concurrency(2), SCOPE, useOf({ open: 1 }), 7)).toMatchObject({ allowed: true, used: 1 })
    expect(judge(concurrency(2), SCOPE, useOf({ open: 2 }), 7)).toMatchObject({
      allowed: false,
      used: 2,
      allowedAt: null,
    })
  })
})

it('unknown kind → denied', () => {
  const unknown = { kind: 'somethingNew', value: 9, is_global: false } as unknown as Constraint
  expect(judge(unknown, SCOPE, useOf({}), 7)).toMatchObject({ allowed: false, allowedAt: null })
})

describe('kinds about nodes and failures', () => {
  it('exclusive → allowed only with nothing excluded open', () => {
    expect(judgeExclusive('n', 0, 7)).toMatchObject({ allowed: true, used: 0, limit: 1, allowedAt: 7 })
    expect(judgeExclusive('n', 2, 7)).toMatchObject({ allowed: false, used: 2, allowedAt: null })
  })

  property.prop([fc.integer({ min: 1, max: 100 }), fc.nat(500), fc.nat(500)])(
    'maxUnavailable in percent: with one more, never more than the share, but one at least',
    (value, known, unavailable) => {
      const constraint: Constraint = { kind: 'maxUnavailable', value, percent: true, is_global: false }
      const { allowed, limit } = judgeUnavailable(constraint, { type: 't', known, unavailable }, 0)
      expect(limit).toBeGreaterThanOrEqual(1)
      if (allowed) expect((unavailable + 1) * 100 <= known * value || unavailable === 0).toBe(true)
      else expect((unavailable + 1) * 100 > known * value).toBe(true)
    },
  )

  it('maxUnavailable → counts nodes', () => {
    const constraint: Constraint = { kind: 'maxUnavailable', value: 2, is_global: false }
    const allowed = (unavailable: number): boolean =>
      judgeUnavailable(constraint, { type: 't', known: 9, unavailable }, 0).allowed
    expect([0, 1, 2].map(allowed)).toEqual([true, true, false])
  })

  it('maxFailure → counts its window, denies while tripped', () => {
    const constraint: Constraint = { kind: 'maxFailure', value: 2, period: HOUR, is_global: false }
    const at = 10 * HOUR
    const failures = [at - HOUR, at - HOUR + 1]
    const failuresAfter = (time: number): number => failures.filter((failure) => failure > time).length
    expect(judgeFailures(constraint, SCOPE, { failuresAfter, trip: null }, at)).toMatchObject({
      allowed: true,
      used: 1,
    })
    expect(judgeFailures(constraint, SCOPE, { failuresAfter, trip: null }, at - 1)).toMatchObject({
      allowed: false,
      used: 2,
      allowedAt: null,
    })
    expect(judgeFailures(constraint, SCOPE, { failuresAfter, trip: { at: 1, count: 2 } }, at)).toMatchObject({
      allowed: false,
      used: 2,
    })
  })

  it('judgements of a GlobalLedger → replace the global lines of a receipt', () => {
    const global = { kind: 'maxExecution', scope: 'global', key: 'global', limit: 1, period: HOUR, used: 1 } as const
    const own = judge(maxExecution(2, HOUR), SCOPE, useOf({}), 5)
    const { receipts } = decide([own, { ...global, used: 0, allowed: true, allowedAt: 5 }], 5)
    const denied = joinReceipts(receipts, [{ ...global, allowed: false, allowedAt: 9 }], false)
    expect(denied).toMatchObject([{ binding: false }, { scope: 'global', used: 1, binding: true }])
    const admitted = joinReceipts(receipts, [{ ...global, used: 0, allowed: true, allowedAt: 5 }], true)
    expect(admitted.map(({ binding }) => binding)).toEqual([false, false])
  })
})

describe('decide', () => {
  it('no constraints → allowed', () => {
    expect(decide([], 5)).toEqual({ allowed: true, allowedAt: 5, receipts: [] })
  })

  it('several deny → the latest is binding, an operator or an end latest of all', () => {
    const now = 50 * HOUR
    const use = useOf({ starts: [now - 1], open: 1 })
    const judgements = [
      judge(maxExecution(1, HOUR), SCOPE, use, now),
      judge(maxExecution(1, 2 * HOUR), SCOPE, use, now),
      judge(concurrency(5), SCOPE, use, now),
    ]
    const verdict = decide(judgements, now)
    expect(verdict.receipts.map((receipt) => receipt.binding)).toEqual([false, true, false])
    expect(verdict.allowedAt).toBe(now - 1 + 2 * HOUR)
    const blocked = decide([...judgements, judge(concurrency(1), SCOPE, use, now)], now)
    expect(blocked.receipts.map((receipt) => receipt.binding)).toEqual([false, false, false, true])
    expect(blocked.allowedAt).toBeNull()
  })
})

describe('properties', () => {
  const time = fc.integer({ min: 0, max: 1000 })
  const window = fc.record({
    starts: fc.array(time, { maxLength: 30 }),
    pending: fc.nat(5),
    limit: fc.nat(8),
    period: fc.integer({ min: 1, max: 400 }),
    now: time,
  })

  property.prop([window])('agrees with counting one by one', ({ starts, pending, limit, period, now }) => {
    const used = starts.filter((start) => start + period > now).length + pending
    const judgement = judge(maxExecution(limit, period), SCOPE, useOf({ starts, pending }), now)
    expect(judgement.used).toBe(used)
    expect(judgement.allowed).toBe(used < limit)
  })

  property.prop([window])(
    'allowed_at is the first moment that allows, if pending starts are confirmed now',
    ({ starts, pending, limit, period, now }) => {
      const past = starts.filter((start) => start <= now)
      const { allowedAt } = judge(maxExecution(limit, period), SCOPE, useOf({ starts: past, pending }), now)
      const confirmed = useOf({ starts: [...past, ...Array.from({ length: pending }, () => now)] })
      const allowedIn = (at: number): boolean => judge(maxExecution(limit, period), SCOPE, confirmed, at).allowed
      if (allowedAt === null) expect(limit).toBe(0)
      else {
        expect(allowedIn(allowedAt)).toBe(true)
        if (allowedAt > now) expect(allowedIn(allowedAt - 1)).toBe(false)
      }
    },
  )

  /** The invariant itself: real starts lie between admission and confirmation, anywhere. */
  property.prop([
    fc.array(fc.record({ wait: fc.nat(50), startAfter: fc.nat(80), confirmAfter: fc.nat(80) }), { maxLength: 60 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 120 }),
  ])('any window of a period → never more real starts than the limit', (triggers, limit, period) => {
    const constraint = maxExecution(limit, period)
    const real: number[] = []
    const admitted: { confirmed: number }[] = []
    let now = 0
    for (const { wait, startAfter, confirmAfter } of triggers) {
      now += wait
      const at = now
      const use = useOf({
        starts: admitted.filter(({ confirmed }) => confirmed <= at).map(({ confirmed }) => confirmed),
        pending: admitted.filter(({ confirmed }) => confirmed > at).length,
      })
      if (!judge(constraint, SCOPE, use, at).allowed) continue
      real.push(at + startAfter)
      admitted.push({ confirmed: at + startAfter + confirmAfter })
    }
    for (const from of real) {
      expect(real.filter((start) => start >= from && start < from + period).length).toBeLessThanOrEqual(limit)
    }
  })
})
