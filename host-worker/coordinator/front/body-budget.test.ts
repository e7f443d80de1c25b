import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import { BodyBudget, type BodyHolder } from './body-budget.ts'

const MIB = 1024 * 1024
const keep = (): void => undefined
const response = () => new ServerResponse(new IncomingMessage(new Socket()))
const anonymous = (network: string): BodyHolder => ({ fingerprint: null, network })
const verified = (fingerprint: string): BodyHolder => ({ fingerprint, network: '192.0.2.1' })

/** So many bodies of 1 MiB each that don't go on. */
function stall(budget: BodyBudget, holder: BodyHolder, count: number) {
  return Array.from({ length: count }, () => {
    const evict = vi.fn<() => void>()
    const of = response()
    const account = budget.accountOf(of, holder)
    return { of, account, evict, hasRoom: account.take(MIB, evict) }
  })
}

test('one certificate, one network → a share, freed when answered', () => {
  for (const holder of [verified('a'), anonymous('198.51.100.1')]) {
    const budget = new BodyBudget()
    const [first, ...others] = stall(budget, holder, 16)
    expect([first, ...others].every((body) => body?.hasRoom)).toBe(true)
    const next = budget.accountOf(response(), holder)
    expect(next.take(1, keep)).toBe(false)
    first?.of.emit('close')
    expect(next.take(MIB, keep)).toBe(true)
    expect(others.some(({ evict }) => evict.mock.calls.length > 0)).toBe(false)
  }
})

test('all is taken by a few certificates → the body that waits longest of who holds most makes way', () => {
  const budget = new BodyBudget()
  const bodies = ['a', 'b', 'c', 'd'].flatMap((name) => stall(budget, verified(name), 15))
  const most = stall(budget, verified('most'), 4)
  const [slowest] = bodies
  expect(slowest?.account.take(1, slowest.evict)).toBe(false)
  expect(budget.accountOf(response(), verified('operator')).take(1, keep)).toBe(true)
  expect(bodies.map(({ evict }) => evict.mock.calls.length)).toEqual([1, ...Array.from({ length: 59 }, () => 0)])
  expect(most.some(({ evict }) => evict.mock.calls.length > 0)).toBe(false)
  expect(budget.accountOf(response(), anonymous('198.51.100.1')).take(MIB - 1, keep)).toBe(true)
})

test('callers without a certificate → keep nobody out who has one, and make way for each other', () => {
  const budget = new BodyBudget()
  const bodies = stall(budget, anonymous('198.51.100.1'), 16)
  expect(budget.accountOf(response(), verified('a')).take(16 * MIB, keep)).toBe(true)
  expect(bodies[0]?.evict).not.toHaveBeenCalled()
  expect(budget.accountOf(response(), anonymous('198.51.100.2')).take(1, keep)).toBe(true)
  expect(bodies[0]?.evict).toHaveBeenCalledOnce()
})

test('bodies that are whole → stay', () => {
  const budget = new BodyBudget()
  const bodies = ['a', 'b', 'c', 'd'].flatMap((name) => stall(budget, verified(name), 16))
  for (const { account } of bodies) account.complete()
  expect(budget.accountOf(response(), verified('operator')).take(1, keep)).toBe(false)
  bodies[0]?.of.emit('close')
  expect(budget.accountOf(response(), verified('operator')).take(1, keep)).toBe(true)
})
