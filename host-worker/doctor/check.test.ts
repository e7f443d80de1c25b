import { expect, it } from 'vitest'
import { fail, ok, runChecks, warn, worst } from './check.ts'

it('checks: one fails, throws or hangs → others still run', async () => {
  const checked = await runChecks(
    [
      { name: 'hangs', run: () => new Promise(() => {}) },
      {
        name: 'throws',
        run: () => {
          throw new Error('broken')
        },
      },
      { name: 'rejects', run: async () => Promise.reject(new Error('refused')) },
      { name: 'fine', run: () => ok('all is well') },
    ],
    50,
  )
  expect(checked).toEqual([
    { name: 'hangs', status: 'fail', detail: 'no answer within 0.05 s', hint: null },
    { name: 'throws', status: 'fail', detail: 'broken', hint: null },
    { name: 'rejects', status: 'fail', detail: 'refused', hint: null },
    { name: 'fine', status: 'ok', detail: 'all is well', hint: null },
  ])
})

it('findings: several → the most serious status', () => {
  expect(worst([ok('a'), ok('b')])).toEqual(ok('a; b'))
  expect(worst([ok('a'), warn('b', 'do this')])).toEqual(warn('b', 'do this'))
  expect(worst([fail('a', 'do this'), warn('b', 'or that'), fail('c', 'do this')])).toEqual(fail('a; c', 'do this'))
  expect(worst([])).toEqual(ok(''))
})
