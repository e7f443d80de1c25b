/** One detector: looks again and again, and triggers what is due. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type DetectorConfig, sourceOf } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
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

  /** Lets go of its source. */
  async close(): Promise<void> {
    await this.#source.close?.()
  }

  /** Looks once, and triggers what is due. @returns whether it could see */
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
    const { send, held, times } = limitTriggers(due, this.#limited, this.#detector.limit, now)
    this.#tellHeld(held)
    const sending = send.map(beginAttempt)
    this.#limited = times
    this.#episodes = withEpisodes(episodes, [...held, ...sending])
    this.#around.metrics.firing(this.#name, episodes.size)
    this.#logChanges(before, episodes, ended, now)
    // On disk before the trigger goes out: should this process die, the next one sends it with the same key.
    this.#save(now)
    await this.#triggerAll(sending)
    return !('unknown' in observation)
  }

  async #triggerAll(due: readonly ReturnType<typeof beginAttempt>[]): Promise<void> {
    const { client, signal, metrics } = this.#around
    const lanes = Array.from({ length: PARALLEL_TRIGGERS }, async (_, lane) => {
      for (const episode of due.filter((_, index) => index % PARALLEL_TRIGGERS === lane)) {
        if (signal.aborted) return
        const answer = await sendTrigger(client, this.#name, this.#detector, episode, signal)
        metrics.triggered(this.#name, answer.kind)
        const answered = answerEpisode(episode, answer, this.#detector, Date.now())
        this.#episodes = withEpisodes(this.#episodes, [answered])
        if (answer.kind === 'admitted' || episode.denials === 0) this.#report(answered, null)
      }
    })
    await Promise.all(lanes)
    if (due.length > 0) this.#save(Date.now())
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

  #tellHeld(held: readonly Episode[]): void {
    this.#around.metrics.held(this.#name, held.length)
    const isHeld = held.length > 0
    if (isHeld && !this.#isHeld) {
      const until = Math.min(...held.map(({ notBefore }) => notBefore))
      const { workflow } = this.#detector
      log('warn', 'triggers_held', {
        detector: this.#name,
        workflow,
        conditions: held.length,
        until: new Date(until).toISOString(),
        detail: 'the limit of this detector is reached',
      })
    }
    this.#isHeld = isHeld
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
