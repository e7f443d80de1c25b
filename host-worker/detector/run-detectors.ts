/** The detector daemon: polls every detector's source and triggers workflows. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DetectorConfig } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../coordinator-client.ts'
import { answerEpisode, type Episode, type Episodes, observeEpisodes } from './episodes.ts'
import { observe } from './sources.ts'
import { EpisodeStore } from './state-file.ts'
import { sendTrigger } from './trigger.ts'

/** How the daemon runs. */
export interface DetectorRun {
  detectors: Readonly<Record<string, DetectorConfig>>
  coordinator: CoordinatorAddress
  /** File that keeps episodes over a restart; null keeps none. */
  stateFile: string | null
  /** Ends the daemon when it aborts. */
  signal: AbortSignal
}

/** Triggers sent at the same time by one detector. */
const PARALLEL_TRIGGERS = 8

/** Runs all detectors until the signal aborts. */
export async function runDetectors(run: DetectorRun): Promise<void> {
  const client = new CoordinatorClient(run.coordinator)
  const store = new EpisodeStore(run.stateFile)
  const intervals = Object.values(run.detectors).map(({ interval }) => interval)
  await store.load(Date.now(), Math.max(0, ...intervals))
  log('info', 'detectors_started', { detectors: Object.keys(run.detectors) })
  try {
    await Promise.all(
      Object.entries(run.detectors).map(([name, detector]) => poll(name, detector, client, store, run.signal)),
    )
  } finally {
    client.close()
  }
}

async function poll(
  name: string,
  detector: DetectorConfig,
  client: CoordinatorClient,
  store: EpisodeStore,
  signal: AbortSignal,
): Promise<void> {
  let blind: string | null = null
  while (!signal.aborted) {
    const began = Date.now()
    const observation = await observe(detector)
    if (signal.aborted) return
    const reason = 'unknown' in observation ? observation.unknown : null
    if (reason !== null && blind === null) log('warn', 'detector_blind', { detector: name, detail: reason })
    if (reason === null && blind !== null) log('info', 'detector_sees', { detector: name })
    blind = reason
    const before = store.get(name)
    const { episodes, due, ended } = observeEpisodes(before, observation, detector, Date.now())
    logChanges(name, before, episodes, ended)
    // On disk before the trigger goes out: should this process die, the next one sends it with the same key.
    await store.set(name, episodes)
    await triggerAll(name, detector, client, due, signal, async (episode) => {
      await store.set(name, new Map([...store.get(name), [episode.firing.fingerprint, episode]]))
    })
    const wait = Math.max(0, began + detector.interval - Date.now())
    await sleep(wait, undefined, { signal }).catch(() => undefined)
  }
}

async function triggerAll(
  name: string,
  detector: DetectorConfig,
  client: CoordinatorClient,
  due: readonly Episode[],
  signal: AbortSignal,
  answered: (episode: Episode) => Promise<void>,
): Promise<void> {
  const lanes = Array.from({ length: PARALLEL_TRIGGERS }, async (_, lane) => {
    for (const episode of due.filter((_, index) => index % PARALLEL_TRIGGERS === lane)) {
      if (signal.aborted) return
      const answer = await sendTrigger(client, name, detector, episode, signal)
      await answered(answerEpisode(episode, answer, detector, Date.now()))
    }
  })
  await Promise.all(lanes)
}

function logChanges(name: string, before: Episodes, after: Episodes, ended: readonly Episode[]): void {
  for (const [fingerprint, { began, firing }] of after) {
    if (began === null || before.get(fingerprint)?.began != null) continue
    log('warn', 'condition', { detector: name, fingerprint, detail: firing.summary })
  }
  for (const { firing, began } of ended) {
    log('info', 'cleared', {
      detector: name,
      fingerprint: firing.fingerprint,
      after_ms: Date.now() - (began ?? Date.now()),
      detail: firing.summary,
    })
  }
}
