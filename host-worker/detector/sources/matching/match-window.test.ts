import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../observation.ts'
import { MatchWindow, matchWindowState } from './match-window.ts'

const RULES = { count: 3, within: 60_000 }

const values = (window: MatchWindow, now: number): string[] => {
  const observation = window.observe(now)
  if ('unknown' in observation) throw new Error(observation.unknown)
  return observation.firing.map(({ value }) => value)
}

describe('match window', () => {
  it('enough matches within it → fires', () => {
    const window = new MatchWindow(RULES)
    for (const at of [0, 10_000]) window.add({}, at, 'file', 'line')
    expect(values(window, 10_000)).toEqual([])
    window.add({}, 20_000, 'file', 'line')
    expect(values(window, 20_000)).toEqual(['3'])
    expect(values(window, 59_999)).toEqual(['3'])
    expect(values(window, 60_000)).toEqual([])
  })

  it('per label set → separate, with the last line', () => {
    const window = new MatchWindow({ ...RULES, count: 1 })
    window.add({ node: 'a' }, 1, '/var/log/app.log', 'first')
    window.add({ node: 'b' }, 1, '/var/log/app.log', 'other')
    window.add({ node: 'a' }, 2, '/var/log/app.log', 'a\u0000bad \u001b[31mline')
    expect(window.observe(2)).toEqual({
      firing: [
        {
          fingerprint: fingerprintOf({ node: 'a' }),
          labels: { node: 'a' },
          annotations: {},
          value: '2',
          summary: '/var/log/app.log: a\uFFFDbad \uFFFD[31mline',
        },
        {
          fingerprint: fingerprintOf({ node: 'b' }),
          labels: { node: 'b' },
          annotations: {},
          value: '1',
          summary: '/var/log/app.log: other',
        },
      ],
    })
  })

  it('too many label sets → unknown, then known again', () => {
    const window = new MatchWindow({ ...RULES, count: 1 })
    for (let id = 0; id < 5000; id += 1) window.add({ id: String(id) }, 1000, 'file', 'line')
    expect(window.observe(1000)).toEqual({ unknown: expect.stringContaining('too many different labels') })
    expect(window.observe(60_999)).toHaveProperty('unknown')
    expect(window.observe(61_000)).toEqual({ firing: [] })
  })

  it('clock set back → times in the future count as now', () => {
    const window = new MatchWindow({ ...RULES, count: 1 })
    window.add({ a: '1' }, 10_000_000, 'file', 'line')
    expect(window.observe(1000)).toMatchObject({ firing: [{ value: '1' }] })
    expect(window.observe(1000 + RULES.within)).toEqual({ firing: [] })
  })

  it('restart → kept', () => {
    const window = new MatchWindow(RULES)
    for (const at of [0, 10_000, 20_000]) window.add({ a: '1' }, at, 'file', 'line')
    const kept = matchWindowState.parse(JSON.parse(JSON.stringify(window.state())))
    expect(new MatchWindow(RULES, kept).observe(20_000)).toEqual(window.observe(20_000))
  })
})

const times = fc.array(fc.nat(200_000), { maxLength: 300 })
property.prop([times, fc.integer({ min: 1, max: 10 })])(
  'counts what lies within the window, up to one part in 200 of it, and never what is older',
  (all, count) => {
    const rules = { count, within: 60_000 }
    const window = new MatchWindow(rules)
    for (const at of all.toSorted((a, b) => a - b)) {
      window.add({}, at, 'file', 'line')
      const until = all.filter((time) => time <= at)
      const surely = until.filter((time) => time > at - rules.within + rules.within / 200).length
      const atMost = until.filter((time) => time > at - rules.within).length
      const value = Number(values(window, at)[0] ?? 0)
      // The ones at this very time may not all have been added yet.
      const pending = all.filter((time) => time === at).length - 1
      expect(value).toBeLessThanOrEqual(atMost)
      if (surely - pending >= count) expect(value).toBeGreaterThanOrEqual(surely - pending)
    }
  },
)

property.prop([times])('needs no more room than one part in 200 of the window each', (all) => {
  const window = new MatchWindow({ count: 1, within: 60_000 })
  for (const at of all) window.add({}, at, 'file', 'line')
  window.observe(200_000)
  expect(window.state().sets[0]?.times.length ?? 0).toBeLessThanOrEqual(401)
})
