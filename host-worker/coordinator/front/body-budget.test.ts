import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { BodyBudget } from './body-budget.ts'

const MIB = 1024 * 1024
const response = () => new ServerResponse(new IncomingMessage(new Socket()))

test('body budget: callers without a certificate → a share, freed when answered', () => {
  const budget = new BodyBudget()
  const first = response()
  const take = budget.accountOf(first, false)
  expect(Array.from({ length: 16 }, () => take(MIB))).not.toContain(false)
  const next = budget.accountOf(response(), false)
  expect(next(1)).toBe(false)
  expect(budget.accountOf(response(), true)(MIB)).toBe(true)
  first.emit('close')
  expect(next(16 * MIB)).toBe(true)
})

test('body budget: all callers → bounded together', () => {
  const budget = new BodyBudget()
  const take = budget.accountOf(response(), true)
  expect(Array.from({ length: 64 }, () => take(MIB))).not.toContain(false)
  expect(take(1)).toBe(false)
  expect(budget.accountOf(response(), true)(1)).toBe(false)
  expect(budget.accountOf(response(), false)(1)).toBe(false)
})
