/** The detector daemon: watches the source of every detector and triggers workflows. */
import type { DetectorConfig } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../coordinator-client.ts'
import { serveStatus } from '../serve-status.ts'
import { DetectorStore } from './detector-store.ts'
import { DetectorMetrics } from './metrics.ts'
import { reportEpisodes, reportOnce } from './report.ts'
import { type Surroundings, Watch } from './watch.ts'

/** How the daemon runs. */
export interface DetectorRun {
  detectors: Readonly<Record<string, DetectorConfig>>
  coordinator: CoordinatorAddress
  /** Of the project. */
  directory: string
  /** File that keeps its state over a restart. */
  stateFile: string
  /** Where its metrics are served, as `HOST:PORT` or `unix:PATH`; null nowhere. */
  metrics: string | null
  /** Ends the daemon when it aborts. */
  signal: AbortSignal
}

/**
 * Runs all detectors until the signal aborts.
 *
 * @throws Error when its metrics can't be served where they should
 */
export async function runDetectors(run: DetectorRun): Promise<void> {
  await withWatches(run, async (watches, around) => {
    const ready = { report: () => ({ status: 'ready' as const, detectors: watches.length }) }
    const stop = run.metrics === null ? null : await serveStatus(around.metrics, ready, run.metrics)
    log('info', 'detectors_started', { detectors: Object.keys(run.detectors) })
    try {
      await Promise.all([reportEpisodes(around), ...watches.map((watch) => watch.run())])
    } finally {
      stop?.()
    }
  })
}

/** Has each detector look once, and trigger what is due. @returns how many of them saw nothing */
export async function runOnce(run: DetectorRun): Promise<number> {
  return withWatches(run, async (watches, around) => {
    const seen = await Promise.all(watches.map((watch) => watch.look()))
    const problem = await reportOnce(around)
    if (problem !== null) log('warn', 'signals_not_reported', { detail: problem })
    await Promise.all(watches.map((watch) => watch.close()))
    return seen.filter((sees) => !sees).length
  })
}

async function withWatches<Result>(
  run: DetectorRun,
  action: (watches: Watch[], around: Surroundings) => Promise<Result>,
): Promise<Result> {
  const { directory, signal } = run
  const client = new CoordinatorClient(run.coordinator)
  const store = new DetectorStore(run.stateFile)
  const metrics = new DetectorMetrics(Object.keys(run.detectors))
  const around: Surroundings = { client, store, metrics, directory, signal }
  try {
    const watches = Object.entries(run.detectors).map(([name, detector]) => new Watch(name, detector, around))
    return await action(watches, around)
  } finally {
    client.close()
    store.close()
  }
}
