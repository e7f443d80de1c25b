import { expect, it } from 'vitest'
import { Readiness } from './readiness.ts'

it('readiness: all conditions → ready; else which one, since when', () => {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const readiness = new Readiness(() => now)
  expect(readiness.report()).toMatchObject({
    status: 'not_ready',
    conditions: { temporal: { ok: false, since: '2026-01-01T00:00:00.000Z', detail: 'not connected yet' } },
  })
  now += 1000
  expect(readiness.note('temporal', null)).toBe(true)
  expect(readiness.note('coordinator', null)).toBe(true)
  expect(readiness.report().status).toBe('not_ready')
  expect(readiness.note('queues', null)).toBe(true)
  expect(readiness.note('queues', null)).toBe(false)
  expect(readiness.report().status).toBe('ready')

  now += 1000
  expect(readiness.note('temporal', 'refused')).toBe(true)
  now += 1000
  expect(readiness.note('temporal', 'timed out')).toBe(false)
  expect(readiness.holds('temporal')).toBe(false)
  expect(readiness.report()).toEqual({
    status: 'not_ready',
    conditions: {
      temporal: { ok: false, since: '2026-01-01T00:00:02.000Z', detail: 'timed out' },
      coordinator: { ok: true, since: '2026-01-01T00:00:01.000Z', detail: null },
      queues: { ok: true, since: '2026-01-01T00:00:01.000Z', detail: null },
    },
  })
})
