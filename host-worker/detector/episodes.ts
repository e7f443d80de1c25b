/**
 * Episodes: from the time a condition has held for `for` until it has been gone for `clear_for`, one trigger goes out,
 * and one more each `repeat_after`. Pure: observations and answers in, triggers out. Times in milliseconds.
 */
import type { Firing, Observation } from './observation.ts'

/** What a detector demands before, and after, it triggers. */
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
}

/** What was heard of a trigger. */
export type TriggerAnswer =
  | { kind: 'admitted' }
  /** Not now; `retryAfter` milliseconds, null when the answer didn't say. */
  | { kind: 'later'; retryAfter: number | null }
  /** It will not get better by itself: a mistake in the config, or no right. */
  | { kind: 'refused' }

export type Episodes = ReadonlyMap<string, Episode>

/** How long a trigger that was refused for good is left alone before it is tried again. */
const REFUSED_RETRY = 60_000

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

/** Takes in what was heard of an episode's trigger. */
export function answerEpisode(episode: Episode, answer: TriggerAnswer, rules: EpisodeRules, now: number): Episode {
  switch (answer.kind) {
    case 'admitted':
      return { ...episode, triggers: episode.triggers + 1, triggeredAt: now }
    case 'later':
      return { ...episode, notBefore: now + (answer.retryAfter ?? rules.interval) }
    case 'refused':
      return { ...episode, notBefore: now + REFUSED_RETRY }
  }
}

/** The idempotency key of an episode's next trigger: the same for each attempt at it. */
export function triggerKey(detector: string, episode: Episode): string {
  return `${detector}:${episode.firing.fingerprint}:${episode.began ?? episode.since}:${episode.triggers}`
}

function hold(episode: Episode | undefined, firing: Firing, rules: EpisodeRules, now: number): Episode {
  const held = episode ?? { since: now, began: null, triggers: 0, triggeredAt: null, notBefore: 0 }
  const began = held.began ?? (now - held.since >= rules.for ? now : null)
  return { ...held, firing, began, clearSince: null }
}

function isDue(episode: Episode, rules: EpisodeRules, now: number): boolean {
  if (episode.began === null || episode.clearSince !== null || now < episode.notBefore) return false
  if (episode.triggeredAt === null) return true
  return rules.repeat_after !== undefined && now - episode.triggeredAt >= rules.repeat_after
}
