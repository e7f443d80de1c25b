import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  answerEpisode,
  beginAttempt,
  type Episode,
  type EpisodeRules,
  type Episodes,
  observeEpisodes,
  type TriggerAnswer,
  triggerKey,
} from './episodes.ts'
import type { Firing, Observation } from './sources/observation.ts'

const SICK: Firing = { fingerprint: 'f1', labels: {}, annotations: {}, value: '500', summary: 'sick' }
const FIRES: Observation = { firing: [SICK] }
const CLEAR: Observation = { firing: [] }
const BLIND: Observation = { unknown: 'no answer' }
const ADMITTED: TriggerAnswer = { kind: 'admitted', execution: null }
const RULES: EpisodeRules = { interval: 10, for: 0, clear_for: 0 }

function later(answer: Partial<TriggerAnswer & { kind: 'later' }>): TriggerAnswer {
  return { kind: 'later', code: null, retryAfter: null, isFault: false, ...answer }
}

/** Plays observations at 0, 10, 20 … and answers each trigger; returns the keys of the triggers sent, in order. */
function play(
  rules: EpisodeRules,
  observations: readonly Observation[],
  answer: (attempt: number) => TriggerAnswer = () => ADMITTED,
): { at: number; key: string }[] {
  let episodes: Episodes = new Map()
  const sent: { at: number; key: string }[] = []
  observations.forEach((observation, index) => {
    const now = index * 10
    const result = observeEpisodes(episodes, observation, rules, now)
    const answered = result.due.map((episode): [string, Episode] => {
      sent.push({ at: now, key: triggerKey('d', episode) })
      return [episode.firing.fingerprint, answerEpisode(beginAttempt(episode), answer(sent.length), rules, now)]
    })
    episodes = new Map([...result.episodes, ...answered])
  })
  return sent
}

describe('episode', () => {
  it('condition holds → one trigger', () => {
    expect(play(RULES, [FIRES, FIRES, FIRES])).toEqual([{ at: 0, key: 'd:f1:0:0' }])
  })

  it('cleared, then fires again → new trigger with another key', () => {
    expect(play(RULES, [FIRES, CLEAR, FIRES])).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 20, key: 'd:f1:20:0' },
    ])
  })

  it('shorter than `for` → no trigger', () => {
    const rules = { ...RULES, for: 20 }
    expect(play(rules, [FIRES, FIRES, FIRES, FIRES]).map(({ at }) => at)).toEqual([20])
    expect(play(rules, [FIRES, FIRES, CLEAR, FIRES, FIRES])).toEqual([])
  })

  it('clear shorter than `clear_for` → same episode', () => {
    const rules = { ...RULES, clear_for: 20 }
    expect(play(rules, [FIRES, CLEAR, FIRES, FIRES]).length).toBe(1)
    expect(play(rules, [FIRES, CLEAR, CLEAR, CLEAR, FIRES]).map(({ at }) => at)).toEqual([0, 40])
  })

  it('longer than `repeat_after` → triggered again with another key', () => {
    expect(play({ ...RULES, repeat_after: 20 }, [FIRES, FIRES, FIRES, FIRES, FIRES])).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 20, key: 'd:f1:0:1' },
      { at: 40, key: 'd:f1:0:2' },
    ])
  })

  it('several series → separate episodes', () => {
    const other = { ...SICK, fingerprint: 'f2' }
    expect(play(RULES, [{ firing: [SICK, other] }, FIRES, { firing: [SICK, other] }]).map(({ key }) => key)).toEqual([
      'd:f1:0:0',
      'd:f2:0:0',
      'd:f2:20:0',
    ])
  })
})

describe('trigger that was not admitted', () => {
  it('denied → sent again with the same key, not before Retry-After', () => {
    const sent = play(RULES, [FIRES, FIRES, FIRES, FIRES, FIRES], (attempt) =>
      attempt === 1 ? { kind: 'later', code: 'constraint_denied', retryAfter: 25, isFault: false } : ADMITTED,
    )
    expect(sent).toEqual([
      { at: 0, key: 'd:f1:0:0' },
      { at: 30, key: 'd:f1:0:0' },
    ])
  })

  it('condition clears → given up', () => {
    expect(play(RULES, [FIRES, CLEAR, CLEAR], () => later({ retryAfter: 5 })).length).toBe(1)
  })

  it('refused → sent again after a minute', () => {
    const sent = play(
      RULES,
      Array.from({ length: 8 }, () => FIRES),
      () => ({ kind: 'refused', code: 'forbidden' }),
    )
    expect(sent.map(({ at }) => at)).toEqual([0])
  })
})

describe('attempts at one trigger', () => {
  const began = (): Episode => {
    const [episode] = observeEpisodes(new Map(), FIRES, RULES, 0).due
    if (episode === undefined) throw new Error('it should be due')
    return episode
  }

  it('condition changes → same body in each attempt', () => {
    const first = beginAttempt(began())
    const denied = answerEpisode(first, later({}), RULES, 0)
    const worse: Observation = { firing: [{ ...SICK, value: '503' }] }
    const [again] = observeEpisodes(new Map([['f1', denied]]), worse, RULES, 60_000).due
    expect(again === undefined ? null : beginAttempt(again)).toMatchObject({ firing: { value: '503' }, sent: SICK })
    const admitted = answerEpisode(first, ADMITTED, RULES, 0)
    expect(beginAttempt({ ...admitted, firing: { ...SICK, value: '504' } }).sent.value).toBe('504')
  })

  it('no answers → back-off up to 30 s, Retry-After honoured', () => {
    const waits = (answer: TriggerAnswer, interval: number): number[] => {
      let episode = began()
      return Array.from({ length: 8 }, () => {
        episode = answerEpisode(beginAttempt(episode), answer, { ...RULES, interval }, 0)
        return episode.notBefore
      })
    }
    expect(waits(later({ isFault: true }), 10)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    expect(waits(later({ isFault: true }), 60_000)).toEqual(Array.from({ length: 8 }, () => 60_000))
    expect(waits(later({ retryAfter: 5000, isFault: true }), 10).slice(0, 5)).toEqual([5000, 5000, 5000, 8000, 16_000])
    expect(waits(later({ retryAfter: 3_600_000 }), 10)).toEqual(Array.from({ length: 8 }, () => 3_600_000))
  })

  it('answers → counted', () => {
    const denied = answerEpisode(beginAttempt(began()), later({ code: 'frozen' }), RULES, 0)
    expect(denied).toMatchObject({ denials: 1, code: 'frozen', triggers: 0, attempts: 1 })
    const admitted = answerEpisode(beginAttempt(denied), { kind: 'admitted', execution: 'e1' }, RULES, 0)
    expect(admitted).toMatchObject({ denials: 1, triggers: 1, attempts: 0, executions: ['e1'] })
  })
})

describe('source without an answer', () => {
  it('any episodes → neither begun nor ended', () => {
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
