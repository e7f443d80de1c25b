import { expect, test } from 'vitest'
import { CONSTRAINT_KINDS } from '../../shared/config/workflow.ts'
import { planRound } from './plan.ts'
import { Random } from './random.ts'
import { NOT_DRILLED, WORKFLOWS } from './workflows.ts'

const nodes = [
  { name: 'web-1', datacenter: 'ams', type: 'web' },
  { name: 'web-2', datacenter: 'fra', type: 'web' },
  { name: 'db-1', datacenter: 'ams', type: 'db' },
] as const

function plans(seed: number, count: number) {
  const random = new Random(seed)
  return Array.from({ length: count }, (_, index) => planRound(random, index + 1, WORKFLOWS, nodes))
}

test('plan: same seed → same plan; another seed → another', () => {
  const written = (seed: number) => JSON.stringify(plans(seed, 5))
  expect(written(7)).toBe(written(7))
  expect(written(7)).not.toBe(written(8))
})

test('plan: three rounds → late starts in one, late replies in one', () => {
  const lasting = (what: string) =>
    plans(7, 9).filter(({ faults }) => faults.some(({ fault }) => fault.name.startsWith(what)))
  const held = lasting('hold starts beyond valid_for')
  const unheard = lasting('lose replies to starts beyond valid_for')
  expect(held.map(({ number }) => number)).toEqual([1, 4, 7])
  expect(unheard.map(({ number }) => number)).toEqual([2, 5, 8])
  for (const { triggers } of [...held, ...unheard])
    expect(triggers.filter(({ validFor }) => validFor === 2).length).toBeGreaterThan(7)
})

test('plan: each round → one to three faults', () => {
  for (const { faults } of plans(3, 50)) {
    expect(faults.length).toBeGreaterThanOrEqual(1)
    expect(faults.length).toBeLessThanOrEqual(3)
    expect(new Set(faults.map(({ fault }) => fault.subject)).size).toBe(faults.length)
  }
})

test('plan: some rounds → every kind and every fault', () => {
  // Every change of the list shifts the random draws: over fewer rounds some fault would now and then be missing.
  const some = plans(1, 300)
  expect(new Set(some.flatMap(({ triggers }) => triggers.map(({ kind }) => kind)))).toEqual(
    new Set(WORKFLOWS.map(({ name }) => name)),
  )
  const faults = some.flatMap((plan) => plan.faults.map(({ fault }) => fault.name.split(' ').slice(0, 2).join(' ')))
  expect([...new Set(faults)].sort()).toEqual([
    'cut line',
    'delay line',
    'deliver twice',
    'hold starts',
    'kill Temporal',
    'kill coordinator',
    'kill worker',
    'lose replies',
    'stop Temporal',
    'stop coordinator',
  ])
})

test('workflows: each constraint kind → drilled, or left out with a reason', () => {
  const drilled = WORKFLOWS.flatMap(({ rules }) => rules.map(({ kind }) => kind))
  expect([...new Set([...drilled, ...Object.keys(NOT_DRILLED)])].sort()).toEqual([...CONSTRAINT_KINDS].sort())
})
