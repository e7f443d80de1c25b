import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  answerEpisode,
  type Episode,
  type EpisodeRules,
  type Episodes,
  observeEpisodes,
  type TriggerAnswer,
  triggerKey,
} from './episodes.ts'
import type { Firing, Observation } from './observation.ts'

const SICK: Firing = { fingerprint: 'f1', labels: {}, annotations: {}, value: '500', summary: 'sick' }
const FIRES: Observation = { firing: [SICK] }
const CLEAR: Observation = { firing: [] }
const BLIND: Observation = { unknown: 'no answer' }
const RULES: EpisodeRules = { interval: 10, for: 0, clear_for: 0 }

/** Plays observations at 0, 10, 20 … and answers each trigger; returns the keys of the triggers sent, in order. */
function play(
  rules: EpisodeRules,
  observations: readonly Observation[],
  answer: (attempt: number) => TriggerAnswer = () => ({ kind: 'admitted' }),
): { at: number; key: string }[] {
  let episodes: Episodes = new Map()
  const sent: { at: number; key: string }[] = []
  observations.forEach((observation, index) => {
    const now = index * 10
    const result = observeEpisodes(episodes, observation, rules, now)
    const answered = result.due.map((episode): [string, Episode] => {
      sent.push({ at: now, key: triggerKey('d', episode) })
      return [episode.firing.fingerprint, answerEpisode(episode, answer(sent.length), rules, now)]
    })
    episodes = new Map([...result.episodes, ...answered])
  })
  return sent
}

describe('one trigger per episode', () => {
  it('triggers once while the condition holds', () => {
    expect(play(RULES, [FIRES, FIRES, FIRES])).toEqual([{ at: 0, key: 'd:f1:0:0' }])
  })

  it('triggers anew, with another key, after it cleared', () => {
    expect(play(RULES, [FIRES, CLEAR, FIRES])).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 20, key: 'd:f1:20:0' },
    ])
  })

  it('waits until the condition has held for `for`', () => {
    const rules = { ...RULES, for: 20 }
    expect(play(rules, [FIRES, FIRES, FIRES, FIRES]).map(({ at }) => at)).toEqual([20])
    expect(play(rules, [FIRES, FIRES, CLEAR, FIRES, FIRES])).toEqual([])
  })

  it('is the same episode while it was not clear for `clear_for`', () => {
    const rules = { ...RULES, clear_for: 20 }
    expect(play(rules, [FIRES, CLEAR, FIRES, FIRES]).length).toBe(1)
    expect(play(rules, [FIRES, CLEAR, CLEAR, CLEAR, FIRES]).map(({ at }) => at)).toEqual([0, 40])
  })

  it('repeats after `repeat_after`, with another key', () => {
    expect(play({ ...RULES, repeat_after: 20 }, [FIRES, FIRES, FIRES, FIRES, FIRES])).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 20, key: 'd:f1:0:1' },
      { at: 40, key: 'd:f1:0:2' },
    ])
  })

  it('counts each series for itself', () => {
    const other = { ...SICK, fingerprint: 'f2' }
    expect(play(RULES, [{ firing: [SICK, other] }, FIRES, { firing: [SICK, other] }]).map(({ key }) => key)).toEqual([
      'd:f1:0:0',
      'd:f2:0:0',
      'd:f2:20:0',
    ])
  })
})

describe('what was not admitted', () => {
  it('is tried again with the same key, no earlier than Retry-After', () => {
    const sent = play(RULES, [FIRES, FIRES, FIRES, FIRES, FIRES], (attempt) =>
      attempt === 1 ? { kind: 'later', retryAfter: 25 } : { kind: 'admitted' },
    )
    expect(sent).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 30, key: 'd:f1:0:0' },
    ])
  })

  it('is given up when the condition clears', () => {
    expect(play(RULES, [FIRES, CLEAR, CLEAR], () => ({ kind: 'later', retryAfter: 5 })).length).toBe(1)
  })

  it('is left alone for a minute when it was refused', () => {
    const sent = play(
      RULES,
      Array.from({ length: 8 }, () => FIRES),
      () => ({ kind: 'refused' }),
    )
    expect(sent.map(({ at }) => at)).toEqual([0])
  })
})

describe('a source that gives no answer', () => {
  it('neither begins nor ends anything', () => {
    expect(play(RULES, [BLIND, BLIND])).toEqual([])
    expect(play(RULES, [FIRES, BLIND, FIRES]).length).toBe(1)
    expect(play({ ...RULES, for: 20 }, [FIRES, BLIND, FIRES, FIRES])).toEqual([])
    expect(play({ ...RULES, clear_for: 20 }, [FIRES, CLEAR, BLIND, CLEAR, FIRES]).length).toBe(1)
  })
})

property.prop([fc.array(fc.constantFrom(FIRES, CLEAR, BLIND), { maxLength: 40 })])(
  'never sends more triggers than there were changes to firing',
  (observations) => {
    const known = observations.filter((observation) => !('unknown' in observation))
    const rises = known.filter((observation, index) => observation === FIRES && known[index - 1] !== FIRES).length
    expect(play(RULES, observations).length).toBe(rises)
  },
)
