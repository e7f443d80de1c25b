/** One detector: polls its source, and triggers what is due. */
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { type DetectorConfig, sourceOf } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode } from '../../shared/wire.ts'
import type { CoordinatorClient } from '../net/coordinator-client.ts'
import {
  answerEpisode,
  beginAttempt,
  type Episode,
  type Episodes,
  episodesPutOff,
  observeEpisodes,
  shiftEpisodes,
} from './episodes.ts'
import type { DetectorMetrics } from './metrics.ts'
import { reconsider, reconsiderPause, sampled } from './reconsider.ts'
import { createSource } from './sources/create-source.ts'
import type { Observation } from './sources/observation.ts'
import type { Notice, Source } from './sources/source.ts'
import type { DetectorState, DetectorStore } from './store.ts'
import { sendTrigger } from './trigger.ts'
import { limitTriggers } from './trigger-limit.ts'

/** The context that all detectors of a daemon share. */
export interface DetectorContext {
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
const MAX_PARALLEL_TRIGGERS = 8
/** How much longer than its own timeouts a poll may take: a file on a dead mount is never read. */
const MAX_POLL_MS = 60_000
/** The clock was set when it advanced differently from elapsed time by more than this. */
const CLOCK_STEP_MS = 5000

/** A detector at work. */
export class Watch {
  readonly #name: string
  readonly #detector: DetectorConfig
  readonly #context: DetectorContext
  readonly #source: Source
  #episodes: Episodes
  #limited: readonly number[]
  /** Triggers that wait for their turn or for an answer, by fingerprint: what ends them, and when they are over. */
  readonly #underWay = new Map<string, { abort: AbortController; over: Promise<void> }>()
  readonly #inTurn = pLimit(MAX_PARALLEL_TRIGGERS)
  /** Ends the pause before the next poll. */
  #wake = new AbortController()
  /** Whether it asks about triggers that were put off. */
  #mayAsk = true
  #failures = 0
  #isHeld = false
  /** The state that the source kept after the last poll. */
  #sourceState: unknown
  /** A poll that took too long, and has not ended yet. */
  #isStuck = false
  /** By the clock, and in elapsed time. */
  #polledAt = { clock: Date.now(), elapsed: performance.now() }

  constructor(name: string, detector: DetectorConfig, context: DetectorContext) {
    this.#name = name
    this.#detector = detector
    this.#context = context
    const state = context.store.load(name, detector.interval, Date.now())
    this.#episodes = state.episodes
    this.#limited = state.limited
    this.#sourceState = state.source
    this.#source = createSource(detector, context.directory, state.source)
  }

  /** Polls at each interval, a little later each time by chance, until it is stopped. */
  async run(): Promise<void> {
    const { interval, jitter } = this.#detector
    const { signal } = this.#context
    const reconsidering = this.#reconsiderAll()
    try {
      for (let turn = performance.now(); !signal.aborted; turn = Math.max(turn + interval, performance.now())) {
        await this.#pause(Math.max(0, turn - performance.now()) + Math.random() * jitter, this.#wake.signal)
        this.#wake = new AbortController()
        if (!signal.aborted) await this.poll()
      }
    } finally {
      await reconsidering
      await this.close()
    }
  }

  /** While there are triggers that were put off: asks now and then whether they would be admitted, and polls at once then. */
  async #reconsiderAll(): Promise<void> {
    const { signal } = this.#context
    while (!signal.aborted && this.#mayAsk) {
      await this.#pause(reconsiderPause())
      try {
        await this.#reconsider()
      } catch (error) {
        log('error', 'trigger_failed', { detector: this.#name, detail: messageOf(error) })
      }
    }
  }

  async #reconsider(): Promise<void> {
    const { client, signal } = this.#context
    const putOff = episodesPutOff(this.#episodes, this.#detector, Date.now())
    const waiting = putOff.filter(({ firing }) => !this.#underWay.has(firing.fingerprint))
    await Promise.all(
      sampled(waiting).map((episode) =>
        this.#inTurn(async () => {
          if (signal.aborted || !this.#mayAsk) return
          const answer = await reconsider(client, this.#name, this.#detector, episode, signal)
          if (answer === 'forbidden') this.#stopAsking()
          if (answer !== 'allowed') return
          const now = this.#episodes.get(episode.firing.fingerprint)
          // It was triggered, or has ended, meanwhile.
          if (now?.notBefore !== episode.notBefore) return
          this.#episodes = withEpisodes(this.#episodes, [{ ...now, notBefore: Date.now() }])
          this.#wake.abort()
        }),
      ),
    )
  }

  /** Without the right to ask, each attempt would only be a rejected request. */
  #stopAsking(): void {
    if (!this.#mayAsk) return
    this.#mayAsk = false
    const route = `POST /v1/workflows/${this.#detector.workflow}/evaluate`
    const detail = `no route rule lets the detector ${route}: it waits for Retry-After instead of asking`
    log('warn', 'reconsidering_forbidden', { detector: this.#name, workflow: this.#detector.workflow, detail })
  }

  async #pause(ms: number, wake?: AbortSignal): Promise<void> {
    const signals = [this.#context.signal, ...(wake === undefined ? [] : [wake])]
    await sleep(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined)
  }

  /** Waits for the answers to what it has sent, and lets go of its source. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ over }) => over))
    await this.#source.close?.()
  }

  /**
   * Polls once, and has what is due triggered. It doesn't wait for the answers: a coordinator that hangs must not keep it
   * from seeing that a condition has cleared.
   *
   * @returns whether it could see
   */
  async poll(): Promise<boolean> {
    try {
      return await this.#poll()
    } catch (error) {
      // An internal error in one detector must not end it, nor affect the others.
      this.#judge({ unknown: `unexpected error: ${messageOf(error)}` }, 0)
      return false
    }
  }

  async #poll(): Promise<boolean> {
    const { signal } = this.#context
    const began = performance.now()
    const observation = await this.#observe()
    for (const notice of this.#source.notices?.() ?? []) this.#log(notice)
    if (signal.aborted) return true
    this.#judge(observation, (performance.now() - began) / 1000)
    const now = Date.now()
    this.#followClock(now)
    const before = this.#episodes
    const { episodes, due, ended } = observeEpisodes(before, observation, this.#detector, now)
    const free = due.filter(({ firing }) => !this.#underWay.has(firing.fingerprint))
    const { send, held, times, until } = limitTriggers(free, this.#limited, this.#detector.limit, now)
    const sending = send.map(beginAttempt)
    const limited = this.#limited
    this.#limited = times
    this.#episodes = withEpisodes(episodes, sending)
    this.#sourceState = this.#source.state?.() ?? null
    this.#context.metrics.firing(this.#name, episodes.size)
    const reports = this.#logChanges(before, episodes, ended, now)
    // On disk before a trigger goes out: should this process die, the next one sends it with the same key.
    const isSaved = this.#save(now, reports)
    for (const { firing } of ended) this.#underWay.get(firing.fingerprint)?.abort.abort()
    if (isSaved) {
      this.#tellHeld(held.length, `the limit of this detector is reached until ${new Date(until).toISOString()}`)
      for (const episode of sending) this.#send(episode)
    } else {
      this.#limited = limited
      this.#episodes = episodes
      this.#tellHeld(
        sending.length + held.length,
        'its state can not be written: a restart would trigger them once more',
      )
    }
    return !('unknown' in observation)
  }

  /** The source's observation; unknown when it throws or takes too long. */
  async #observe(): Promise<Observation> {
    if (this.#isStuck) return { unknown: 'an earlier poll has not ended yet' }
    const most = MAX_POLL_MS + timeoutOf(this.#detector)
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<Observation>((resolve) => {
      timer = setTimeout(() => {
        this.#isStuck = true
        resolve({ unknown: `the poll has not ended after ${most} ms` })
      }, most)
    })
    const asked = this.#source
      .observe(Date.now())
      .catch((error: unknown): Observation => ({ unknown: `unexpected error: ${messageOf(error)}` }))
      .finally(() => {
        clearTimeout(timer)
        this.#isStuck = false
      })
    return Promise.race([asked, tooLate])
  }

  /** When the clock was set, or the machine slept, no time that a condition waits for has passed by that. */
  #followClock(clock: number): void {
    const elapsed = performance.now()
    const step = Math.round(clock - this.#polledAt.clock - (elapsed - this.#polledAt.elapsed))
    this.#polledAt = { clock, elapsed }
    if (Math.abs(step) <= CLOCK_STEP_MS) return
    this.#log({ level: 'warn', event: 'clock_set', by_ms: step })
    this.#episodes = shiftEpisodes(this.#episodes, step)
    this.#limited = this.#limited.map((time) => time + step)
  }

  #send(episode: Attempt): void {
    const { fingerprint } = episode.firing
    const abort = new AbortController()
    const over = this.#inTurn(() => this.#trigger(episode, AbortSignal.any([this.#context.signal, abort.signal])))
      .catch((error: unknown) => {
        log('error', 'trigger_failed', { detector: this.#name, detail: messageOf(error) })
      })
      .finally(() => this.#underWay.delete(fingerprint))
    this.#underWay.set(fingerprint, { abort, over })
  }

  async #trigger(sent: Attempt, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { client, metrics } = this.#context
    const answer = await sendTrigger(client, this.#name, this.#detector, sent, signal)
    if (signal.aborted) return
    metrics.triggered(this.#name, answer.kind)
    const now = this.#episodes.get(sent.firing.fingerprint)
    // It has ended meanwhile.
    if (now === undefined || now.began !== sent.began) return
    const answered = answerEpisode(now, answer, this.#detector, Date.now())
    this.#episodes = withEpisodes(this.#episodes, [answered])
    const isNews = answer.kind === 'admitted' || sent.denials === 0
    this.#save(Date.now(), isNews ? [reportOf(this.#name, this.#detector, answered, null)] : [])
  }

  /** @returns false when it can't be written */
  #save(now: number, reports: readonly SignalEpisode[]): boolean {
    const state: DetectorState = { episodes: this.#episodes, limited: this.#limited, source: this.#sourceState }
    return this.#context.store.save(this.#name, state, now, reports)
  }

  /** Every poll without an observation is logged: operators need to know how long a detector could not observe anything. */
  #judge(observation: Observation, seconds: number): void {
    const detector = this.#name
    const isBlind = 'unknown' in observation
    this.#context.metrics.polled(detector, isBlind ? 'unknown' : 'ok', seconds)
    if (isBlind) {
      this.#failures += 1
      log('warn', 'evaluation_failed', { detector, detail: observation.unknown, failures: this.#failures })
    } else if (this.#failures > 0) {
      log('info', 'detector_sees', { detector, after_failures: this.#failures })
      this.#failures = 0
    }
  }

  #log({ level, event, ...fields }: Notice): void {
    this.#context.metrics.noticed(this.#name, event)
    log(level, event, { detector: this.#name, ...fields })
  }

  #tellHeld(conditions: number, detail: string): void {
    this.#context.metrics.held(this.#name, conditions)
    if (conditions > 0 && !this.#isHeld) {
      log('warn', 'triggers_held', {
        detector: this.#name,
        workflow: this.#detector.workflow,
        conditions,
        detail,
      })
    }
    this.#isHeld = conditions > 0
  }

  /** @returns what is to be reported of them */
  #logChanges(before: Episodes, after: Episodes, ended: readonly Episode[], now: number): SignalEpisode[] {
    const reports: SignalEpisode[] = []
    for (const [fingerprint, episode] of after) {
      if (episode.began === null || (before.get(fingerprint)?.began ?? null) !== null) continue
      log('warn', 'condition', { detector: this.#name, fingerprint, detail: episode.firing.summary })
      reports.push(reportOf(this.#name, this.#detector, episode, null))
    }
    for (const episode of ended) {
      const { firing, began } = episode
      log('info', 'cleared', {
        detector: this.#name,
        fingerprint: firing.fingerprint,
        after_ms: now - (began ?? now),
        detail: firing.summary,
      })
      reports.push(reportOf(this.#name, this.#detector, episode, now))
    }
    return reports
  }
}

/** How long a detector's source waits for answers, in milliseconds. */
function timeoutOf({ http_check, tcp_check, command_check, prometheus }: DetectorConfig): number {
  if (prometheus !== undefined) return prometheus.timeout * prometheus.urls.length
  return (http_check ?? tcp_check ?? command_check)?.timeout ?? 0
}

/** The state of an episode, as it is reported to the coordinator. */
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
