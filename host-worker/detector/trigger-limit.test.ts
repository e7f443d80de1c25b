import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { beginAttempt, type Episode, observeEpisodes } from './episodes.ts'
import { limitTriggers } from './trigger-limit.ts'

const LIMIT = { triggers: 2, per: 100 }

function episode(fingerprint: string): Episode {
  const firing = { fingerprint, labels: {}, annotations: {}, value: '1', summary: '' }
  const [due] = observeEpisodes(new Map(), { firing: [firing] }, { interval: 1, for: 0, clear_for: 0 }, 0).due
  if (due === undefined) throw new Error('it should be due')
  return due
}

it('trigger limit: none → all sent', () => {
  const due = [episode('a'), episode('b')]
  expect(limitTriggers(due, [], undefined, 0)).toMatchObject({ send: due, held: [] })
})

it('trigger limit: reached → waits until the oldest leaves the window', () => {
  const due = [episode('a'), episode('b'), episode('c')]
  const { send, held, times, until } = limitTriggers(due, [40], LIMIT, 60)
  expect(send.map(({ firing }) => firing.fingerprint)).toEqual(['a'])
  expect(held.map(({ firing }) => firing.fingerprint)).toEqual(['b', 'c'])
  expect(until).toBe(140)
  expect(times).toEqual([40, 60])
  expect(limitTriggers(held, times, LIMIT, 140).send.length).toBe(1)
})

it('trigger limit: another attempt → not counted', () => {
  const again = beginAttempt(episode('a'))
  expect(limitTriggers([again], [1, 2], LIMIT, 3)).toMatchObject({ send: [again], held: [], times: [1, 2] })
})

it('trigger limit: clock set back → not held for long', () => {
  expect(limitTriggers([episode('a')], [1_000_000, 1_000_000], LIMIT, 0).until).toBe(100)
})

property.prop([fc.array(fc.tuple(fc.nat(60), fc.nat(4)), { maxLength: 40 }), fc.integer({ min: 1, max: 4 })])(
  'no window ever holds more new triggers than the limit',
  (steps, triggers) => {
    const sent: number[] = []
    let times: number[] = []
    let now = 0
    for (const [wait, count] of steps) {
      now += wait
      const due = Array.from({ length: count }, (_, index) => episode(`${now}-${index}`))
      const result = limitTriggers(due, times, { triggers, per: 100 }, now)
      times = result.times
      sent.push(...result.send.map(() => now))
      expect(result.send.length + result.held.length).toBe(count)
    }
    for (const end of sent)
      expect(sent.filter((at) => at <= end && end - at < 100).length).toBeLessThanOrEqual(triggers)
  },
)
