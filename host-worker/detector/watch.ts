/** One detector: looks again and again, and triggers what is due. */
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { type DetectorConfig, sourceOf } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode } from '../../shared/wire.ts'
import type { CoordinatorClient } from '../coordinator-client.ts'
import type { DetectorState, DetectorStore } from './detector-store.ts'
import { answerEpisode, beginAttempt, type Episode, type Episodes, observeEpisodes } from './episodes.ts'
import type { DetectorMetrics } from './metrics.ts'
import type { Observation } from './observation.ts'
import { openSource } from './sources/open-source.ts'
import type { Notice, Source } from './sources/source.ts'
import { sendTrigger } from './trigger.ts'
import { limitTriggers } from './trigger-limit.ts'

/** What all detectors of a daemon share. */
export interface Surroundings {
  client: CoordinatorClient
  store: DetectorStore
  metrics: DetectorMetrics
  /** Of the project. */
  directory: string
  /** Ends everything when it aborts. */
  signal: AbortSignal
}

/** An episode whose trigger goes out. */
type Attempt = ReturnType<typeof beginAttempt>

/** Triggers sent at the same time by one detector. */
const PARALLEL_TRIGGERS = 8

/** A detector at work. */
export class Watch {
  readonly #name: string
  readonly #detector: DetectorConfig
  readonly #around: Surroundings
  readonly #source: Source
  #episodes: Episodes
  #limited: readonly number[]
  /** Triggers that wait for their turn or for an answer, by fingerprint: what ends them, and when they are over. */
  readonly #underWay = new Map<string, { abort: AbortController; over: Promise<void> }>()
  readonly #inTurn = pLimit(PARALLEL_TRIGGERS)
  #failures = 0
  #isHeld = false

  constructor(name: string, detector: DetectorConfig, around: Surroundings) {
    this.#name = name
    this.#detector = detector
    this.#around = around
    const state = around.store.load(name, detector.interval, Date.now())
    this.#episodes = state.episodes
    this.#limited = state.limited
    this.#source = openSource(detector, around.directory, state.source)
  }

  /** Looks at each interval, a little later each time by chance, until it is told to end. */
  async run(): Promise<void> {
    const { interval, jitter } = this.#detector
    const { signal } = this.#around
    const pause = (ms: number): Promise<void> =>
      sleep(ms, undefined, { signal }).then(
        () => undefined,
        () => undefined,
      )
    try {
      for (let turn = performance.now(); !signal.aborted; turn = Math.max(turn + interval, performance.now())) {
        await pause(Math.max(0, turn - performance.now()) + Math.random() * jitter)
        if (!signal.aborted) await this.look()
      }
    } finally {
      await this.close()
    }
  }

  /** Waits for the answers to what it has sent, and lets go of its source. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ over }) => over))
    await this.#source.close?.()
  }

  /**
   * Looks once, and has what is due triggered. It doesn't wait for the answers: a coordinator that hangs must not keep it
   * from seeing that a condition has cleared.
   *
   * @returns whether it could see
   */
  async look(): Promise<boolean> {
    const { signal } = this.#around
    const began = performance.now()
    const observation = await this.#source.observe(Date.now())
    for (const notice of this.#source.notices?.() ?? []) this.#tell(notice)
    if (signal.aborted) return true
    this.#judge(observation, (performance.now() - began) / 1000)
    const now = Date.now()
    const before = this.#episodes
    const { episodes, due, ended } = observeEpisodes(before, observation, this.#detector, now)
    const free = due.filter(({ firing }) => !this.#underWay.has(firing.fingerprint))
    const { send, held, times, until } = limitTriggers(free, this.#limited, this.#detector.limit, now)
    this.#tellHeld(held.length, until)
    const sending = send.map(beginAttempt)
    this.#limited = times
    this.#episodes = withEpisodes(episodes, sending)
    this.#around.metrics.firing(this.#name, episodes.size)
    this.#logChanges(before, episodes, ended, now)
    // On disk before a trigger goes out: should this process die, the next one sends it with the same key.
    this.#save(now)
    for (const { firing } of ended) this.#underWay.get(firing.fingerprint)?.abort.abort()
    for (const episode of sending) this.#send(episode)
    return !('unknown' in observation)
  }

  #send(episode: Attempt): void {
    const { fingerprint } = episode.firing
    const abort = new AbortController()
    const over = this.#inTurn(() => this.#trigger(episode, AbortSignal.any([this.#around.signal, abort.signal])))
      .catch((error: unknown) => {
        log('error', 'trigger_failed', { detector: this.#name, detail: messageOf(error) })
      })
      .finally(() => this.#underWay.delete(fingerprint))
    this.#underWay.set(fingerprint, { abort, over })
  }

  async #trigger(sent: Attempt, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { client, metrics } = this.#around
    const answer = await sendTrigger(client, this.#name, this.#detector, sent, signal)
    if (signal.aborted) return
    metrics.triggered(this.#name, answer.kind)
    const now = this.#episodes.get(sent.firing.fingerprint)
    // It has ended meanwhile.
    if (now === undefined || now.began !== sent.began) return
    const answered = answerEpisode(now, answer, this.#detector, Date.now())
    this.#episodes = withEpisodes(this.#episodes, [answered])
    if (answer.kind === 'admitted' || sent.denials === 0) this.#report(answered, null)
    this.#save(Date.now())
  }

  #save(now: number): void {
    const state: DetectorState = {
      episodes: this.#episodes,
      limited: this.#limited,
      source: this.#source.state?.() ?? null,
    }
    this.#around.store.save(this.#name, state, now)
  }

  /** Every look that saw nothing is told: whoever relies on a detector wants to know how long it was blind. */
  #judge(observation: Observation, seconds: number): void {
    const detector = this.#name
    const isBlind = 'unknown' in observation
    this.#around.metrics.looked(detector, isBlind ? 'unknown' : 'ok', seconds)
    if (isBlind) {
      this.#failures += 1
      log('warn', 'evaluation_failed', { detector, detail: observation.unknown, failures: this.#failures })
    } else if (this.#failures > 0) {
      log('info', 'detector_sees', { detector, after_failures: this.#failures })
      this.#failures = 0
    }
  }

  #tell({ level, event, ...fields }: Notice): void {
    this.#around.metrics.noticed(this.#name, event)
    log(level, event, { detector: this.#name, ...fields })
  }

  #tellHeld(conditions: number, until: number): void {
    this.#around.metrics.held(this.#name, conditions)
    if (conditions > 0 && !this.#isHeld) {
      log('warn', 'triggers_held', {
        detector: this.#name,
        workflow: this.#detector.workflow,
        conditions,
        until: new Date(until).toISOString(),
        detail: 'the limit of this detector is reached',
      })
    }
    this.#isHeld = conditions > 0
  }

  #logChanges(before: Episodes, after: Episodes, ended: readonly Episode[], now: number): void {
    for (const [fingerprint, episode] of after) {
      if (episode.began === null || (before.get(fingerprint)?.began ?? null) !== null) continue
      log('warn', 'condition', { detector: this.#name, fingerprint, detail: episode.firing.summary })
      this.#report(episode, null)
    }
    for (const episode of ended) {
      const { firing, began } = episode
      log('info', 'cleared', {
        detector: this.#name,
        fingerprint: firing.fingerprint,
        after_ms: now - (began ?? now),
        detail: firing.summary,
      })
      this.#report(episode, now)
    }
  }

  #report(episode: Episode, ended: number | null): void {
    this.#around.store.report(reportOf(this.#name, this.#detector, episode, ended))
  }
}

/** How an episode stands, as the coordinator is told. */
function reportOf(
  name: string,
  detector: DetectorConfig,
  { firing, since, began, triggers, denials, code, executions }: Episode,
  ended: number | null,
): SignalEpisode {
  return {
    source: sourceOf(detector),
    name,
    workflow: detector.workflow,
    fingerprint: firing.fingerprint,
    began: new Date(began ?? since).toISOString(),
    ended: ended === null ? null : new Date(ended).toISOString(),
    admitted: triggers,
    denied: denials,
    code,
    executions: [...executions],
  }
}

function withEpisodes(episodes: Episodes, changed: readonly Episode[]): Episodes {
  return new Map([...episodes, ...changed.map((episode) => [episode.firing.fingerprint, episode] as const)])
}
