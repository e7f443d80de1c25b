/**
 * Episodes: from the time a condition has held for `for` until it has been gone for `clear_for`, one trigger goes out,
 * and one more each `repeat_after`. Pure: observations and answers in, triggers out. Times in milliseconds.
 */
import { exponentialWait } from '../../shared/backoff.ts'
import type { Firing, Observation } from './sources/observation.ts'

/** The conditions of a detector for triggering, and for triggering again. */
export interface EpisodeRules {
  interval: number
  for: number
  clear_for: number
  repeat_after?: number | undefined
}

/** One condition that holds, or held until a moment ago. Plain data, so that it survives a restart. */
export interface Episode {
  firing: Firing
  /** When the condition was first seen. */
  since: number
  /** When it became an episode; null while it has not held long enough. */
  began: number | null
  /** Since when it has been gone; null while it holds. */
  clearSince: number | null
  /** Number of triggers admitted so far. */
  triggers: number
  /** When the newest of them was admitted. */
  triggeredAt: number | null
  /** No trigger before this time. */
  notBefore: number
  /** The signal of the trigger that is being sent, the same in each attempt; null before the first. */
  sent: Firing | null
  /** Attempts at it so far. */
  attempts: number
  /** How often triggers of this episode were denied, and why the last time. */
  denials: number
  code: string | null
  /** The executions that its triggers led to, the newest last. */
  executions: readonly string[]
}

/** The answer to a trigger. */
export type TriggerAnswer =
  | { kind: 'admitted'; execution: string | null }
  /** Not now; `retryAfter` milliseconds, null when the answer didn't say. A fault is a failure of the coordinator, not a decision. */
  | { kind: 'later'; code: string | null; retryAfter: number | null; isFault: boolean }
  /** It will not get better by itself: a mistake in the config, or no right. */
  | { kind: 'refused'; code: string | null }

export type Episodes = ReadonlyMap<string, Episode>

/** How long a trigger that was refused for good is left alone before it is tried again. */
const REFUSED_RETRY_MS = 60_000
/** The longest wait between attempts when the answer doesn't say how long to wait. */
const MAX_BACKOFF_MS = 30_000
/** Executions of one episode that are remembered. */
const MAX_EXECUTIONS = 10

/**
 * Takes an observation in.
 *
 * @returns the episodes now, those that are due to trigger, and those that have just ended
 */
export function observeEpisodes(
  before: Episodes,
  observation: Observation,
  rules: EpisodeRules,
  now: number,
): { episodes: Episodes; due: Episode[]; ended: Episode[] } {
  // What can't be seen neither holds nor clears: nothing begins on it, and no clearing time runs.
  if ('unknown' in observation) {
    const kept = [...before].filter(([, episode]) => episode.began !== null)
    return {
      episodes: new Map(kept.map(([key, episode]) => [key, { ...episode, clearSince: null }])),
      due: [],
      ended: [],
    }
  }
  const episodes = new Map<string, Episode>()
  const ended: Episode[] = []
  for (const firing of observation.firing) {
    episodes.set(firing.fingerprint, hold(before.get(firing.fingerprint), firing, rules, now))
  }
  for (const [fingerprint, episode] of before) {
    if (episodes.has(fingerprint) || episode.began === null) continue
    const clearSince = episode.clearSince ?? now
    if (now - clearSince >= rules.clear_for) ended.push(episode)
    else episodes.set(fingerprint, { ...episode, clearSince })
  }
  return { episodes, due: [...episodes.values()].filter((episode) => isDue(episode, rules, now)), ended }
}

/** The episodes whose condition holds and whose trigger was put off: the reason may have gone by now. */
export function episodesPutOff(episodes: Episodes, rules: EpisodeRules, now: number): Episode[] {
  return [...episodes.values()].filter(
    (episode) => episode.code !== null && now < episode.notBefore && isDue(episode, rules, episode.notBefore),
  )
}

/** An episode whose trigger is sent now: its signal is the same in each attempt until it is admitted. */
export function beginAttempt(episode: Episode): Episode & { sent: Firing } {
  return { ...episode, sent: episode.sent ?? episode.firing, attempts: episode.attempts + 1 }
}

/** Applies the answer to an episode's trigger. */
export function answerEpisode(episode: Episode, answer: TriggerAnswer, rules: EpisodeRules, now: number): Episode {
  switch (answer.kind) {
    case 'admitted': {
      const executions = answer.execution === null ? episode.executions : [...episode.executions, answer.execution]
      return {
        ...episode,
        triggers: episode.triggers + 1,
        triggeredAt: now,
        sent: null,
        attempts: 0,
        executions: executions.slice(-MAX_EXECUTIONS),
      }
    }
    case 'later': {
      const { code, retryAfter, isFault } = answer
      const backsOff = isFault || retryAfter === null
      const wait = Math.max(retryAfter ?? 0, backsOff ? retryWait(rules.interval, episode.attempts) : 0)
      return denied({ ...episode, notBefore: now + wait }, code)
    }
    case 'refused':
      return denied({ ...episode, notBefore: now + REFUSED_RETRY_MS }, answer.code)
  }
}

function denied(episode: Episode, code: string | null): Episode {
  return code === null ? episode : { ...episode, denials: episode.denials + 1, code }
}

/** At least the interval. */
function retryWait(interval: number, attempts: number): number {
  return Math.max(interval, exponentialWait(attempts, { first: Math.max(interval, 1000), max: MAX_BACKOFF_MS }))
}

/**
 * The episodes after the clock was set, or polls were impossible, by as much: no time that they wait for comes
 * earlier or later by that. Their keys don't change.
 */
export function shiftEpisodes(episodes: Episodes, by: number): Episodes {
  const shifted = (time: number | null): number | null => (time === null ? null : time + by)
  return new Map(
    [...episodes].map(([fingerprint, episode]) => [
      fingerprint,
      {
        ...episode,
        since: episode.since + by,
        clearSince: shifted(episode.clearSince),
        triggeredAt: shifted(episode.triggeredAt),
        notBefore: episode.notBefore + by,
      },
    ]),
  )
}

/** The idempotency key of an episode's next trigger: the same for each attempt at it. */
export function triggerKey(detector: string, episode: Episode): string {
  return `${detector}:${episode.firing.fingerprint}:${episode.began ?? episode.since}:${episode.triggers}`
}

function hold(episode: Episode | undefined, firing: Firing, rules: EpisodeRules, now: number): Episode {
  const held = episode ?? { since: now, ...FRESH }
  const began = held.began ?? (now - held.since >= rules.for ? now : null)
  return { ...held, firing, began, clearSince: null }
}

const FRESH = {
  began: null,
  triggers: 0,
  triggeredAt: null,
  notBefore: 0,
  sent: null,
  attempts: 0,
  denials: 0,
  code: null,
  executions: [],
} as const

function isDue(episode: Episode, rules: EpisodeRules, now: number): boolean {
  if (episode.began === null || episode.clearSince !== null || now < episode.notBefore) return false
  if (episode.triggeredAt === null) return true
  return rules.repeat_after !== undefined && now - episode.triggeredAt >= rules.repeat_after
}
