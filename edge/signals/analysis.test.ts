import { expect, test } from 'vitest'
import type { SignalCounts } from '../../shared/wire.ts'
import { analyse, type Episode } from './analysis.ts'

const NOW = Date.parse('2026-06-15T12:00:00Z')
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

function episode(minutesAgo: number, lasted: number | null, more: Partial<Episode> = {}): Episode {
  const began = NOW - minutesAgo * MINUTE
  return {
    source: 'log',
    name: 'errors',
    workflow: 'restart-service',
    fingerprint: 'f',
    began,
    ended: lasted === null ? null : began + lasted * MINUTE,
    admitted: 1,
    denied: 0,
    executions: ['completed'],
    ...more,
  }
}

function today(...episodes: Episode[]): SignalCounts | undefined {
  return analyse(episodes, NOW)[0]?.windows['1d']
}

const ONE: SignalCounts = { fired: 1, admitted: 1, denied: 0, helped: 0, flapped: 0, never_acted_on: 0, open: 0 }

test('effectiveness: healed and not firing again → helped', () => {
  expect(today(episode(60, 5))).toEqual({ ...ONE, helped: 1 })
})

test.each([
  ['the condition still holds', { ended: null }, { open: 1 }],
  ['the execution failed', { executions: ['failed' as const] }, {}],
  ['one of two executions failed', { executions: ['failed' as const, 'completed' as const] }, {}],
  ['nobody knows the execution any more', { executions: [null] }, {}],
  ['it was not admitted', { admitted: 0, denied: 3, executions: [] }, { admitted: 0, denied: 1, never_acted_on: 1 }],
  ['it was held back', { admitted: 0, executions: [] }, { admitted: 0, never_acted_on: 1 }],
  ['it was only recorded', { executions: ['shadowed' as const] }, { never_acted_on: 1 }],
  ['nobody approved it', { executions: ['expired' as const] }, { never_acted_on: 1 }],
])('effectiveness: %s → did not help', (_, more, counts) => {
  expect(today(episode(60, 5, more))).toEqual({ ...ONE, ...counts })
})

test('effectiveness: fires again within ten minutes → flapped, earlier one did not help', () => {
  const counts = today(episode(60, 5), episode(46, 5), episode(20, 5))
  expect(counts).toMatchObject({ fired: 3, flapped: 1, helped: 2 })
})

test('effectiveness: another condition of the same detector → no flapping', () => {
  expect(today(episode(60, 5), episode(50, 5, { fingerprint: 'g' }))).toMatchObject({ flapped: 0, helped: 2 })
})

test('effectiveness: windows → count what began in them, flapping looks past the edge', () => {
  const [signal] = analyse(
    [
      episode(2, 1),
      episode(DAY / MINUTE - 1, 1),
      episode(DAY / MINUTE + 4, 1),
      episode((6 * DAY) / MINUTE, 1),
      episode((29 * DAY) / MINUTE, 1),
      episode((30 * DAY) / MINUTE, 1),
    ],
    NOW,
  )
  const fired = Object.entries(signal?.windows ?? {}).map(([span, { fired, flapped }]) => [span, fired, flapped])
  expect(fired).toEqual([
    ['1d', 2, 1],
    ['7d', 4, 1],
    ['30d', 5, 1],
  ])
})

test('effectiveness: several signals → separate by source, name and workflow, newest first', () => {
  const signals = analyse(
    [
      episode(60, 5),
      episode(50, 5, { source: 'alertmanager' }),
      episode(40, 5, { name: 'other' }),
      episode(30, 5, { workflow: 'reboot-node' }),
      episode(20, 5),
    ],
    NOW,
  )
  expect(signals.map(({ source, name, workflow, windows }) => [source, name, workflow, windows['1d'].fired])).toEqual([
    ['log', 'errors', 'restart-service', 2],
    ['log', 'errors', 'reboot-node', 1],
    ['log', 'other', 'restart-service', 1],
    ['alertmanager', 'errors', 'restart-service', 1],
  ])
})
