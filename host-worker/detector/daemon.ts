/** The detector daemon: watches the source of every detector and triggers workflows. */
import type { DetectorConfig } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../net/coordinator-client.ts'
import { serveStatus } from '../net/status-server.ts'
import { DetectorMetrics } from './metrics.ts'
import { type DetectorContext, Watch } from './poll.ts'
import { reportEpisodes, reportOnce } from './report.ts'
import { DetectorStore, StateUnreadable } from './store.ts'

/** Thrown when the daemon can't start; the message says why. */
export class CannotStart extends Error {}

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
  /** Called once all sources are watched. */
  onStarted?: () => void
}

/**
 * Runs all detectors until the signal aborts.
 *
 * @throws CannotStart when its state can't be read, or its metrics can't be served where they should
 */
export async function runDetectors(run: DetectorRun): Promise<void> {
  await withWatches(run, async (watches, around) => {
    const ready = { report: () => ({ status: 'ready' as const, detectors: watches.length }) }
    const serving = run.metrics === null ? null : serveStatus(around.metrics, ready, run.metrics)
    const stop = await serving?.catch((error: unknown) => {
      throw new CannotStart(`metrics can't be served at ${run.metrics}: ${messageOf(error)}`)
    })
    log('info', 'detectors_started', { detectors: Object.keys(run.detectors) })
    run.onStarted?.()
    try {
      await Promise.all([reportEpisodes(around), ...watches.map((watch) => watch.run())])
    } finally {
      stop?.()
    }
  })
}

/**
 * Has each detector poll once, and trigger what is due.
 *
 * @returns how many of them saw nothing
 * @throws CannotStart when its state can't be read
 */
export async function runOnce(run: DetectorRun): Promise<number> {
  return withWatches(run, async (watches, around) => {
    const seen = await Promise.all(watches.map((watch) => watch.poll()))
    const problem = await reportOnce(around)
    if (problem !== null) log('warn', 'signals_not_reported', { detail: problem })
    await Promise.all(watches.map((watch) => watch.close()))
    return seen.filter((sees) => !sees).length
  })
}

async function withWatches<Result>(
  run: DetectorRun,
  action: (watches: Watch[], around: DetectorContext) => Promise<Result>,
): Promise<Result> {
  const { directory, signal } = run
  const client = new CoordinatorClient(run.coordinator)
  const store = openStore(run.stateFile)
  const metrics = new DetectorMetrics(Object.keys(run.detectors))
  const around: DetectorContext = { client, store, metrics, directory, signal }
  try {
    const watches = Object.entries(run.detectors).map(([name, detector]) => new Watch(name, detector, around))
    return await action(watches, around)
  } catch (error) {
    throw asCannotStart(error)
  } finally {
    client.close()
    store.close()
  }
}

function openStore(file: string): DetectorStore {
  try {
    return new DetectorStore(file)
  } catch (error) {
    throw asCannotStart(error)
  }
}

function asCannotStart(error: unknown): unknown {
  return error instanceof StateUnreadable ? new CannotStart(error.message) : error
}
