/** A host's worker: serves the node's queues over one connection, and reports to the coordinator that it does. */
import { makeTelemetryFilterString, Runtime, Worker } from '@temporalio/worker'
import { log } from '../../shared/log.ts'
import { datacenterQueue, queuesOfNode } from '../../shared/names.ts'
import type { ResileSinks } from '../../workflows/sdk/interceptors.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { serveStatus } from '../net/status-server.ts'
import { readBootId } from '../process/boot-id.ts'
import { ownVersion } from '../process/version.ts'
import type { StoredBundle } from './bundle-store.ts'
import { Heartbeat } from './heartbeat.ts'
import { openHostSide } from './host-side.ts'
import { WorkerMetrics } from './metrics.ts'
import { keepHeaders } from './permits/gate.ts'
import { Readiness } from './readiness.ts'
import { queueOptions, serveQueues } from './serve-queues.ts'
import { TemporalLink } from './temporal-link.ts'
import { temporalLogger } from './temporal-logger.ts'
import { watchPolls } from './watch-polls.ts'
import { watchTemporal } from './watch-temporal.ts'
import type { WorkerRun } from './worker-run.ts'

/**
 * Runs until the signal aborts. Returns when all queues are shut down.
 *
 * @throws what Temporal's worker throws when it can't go on, such as a namespace that is gone
 */
export async function runWorker(run: WorkerRun): Promise<void> {
  const { config, signal } = run
  const readiness = new Readiness()
  const metrics = new WorkerMetrics({ node: config.node, build: buildOf(run) }, readiness, run.onActivity)
  const stopStatus = config.metrics === undefined ? null : await serveStatus(metrics, readiness, config.metrics.listen)
  try {
    installRuntime()
    const { address } = config.temporal
    const note = (problem: string | null): void => {
      noteTemporal(readiness, address, problem)
      // It goes on for as long as that takes.
      if (problem !== null) run.onStarted()
    }
    const temporal = await TemporalLink.connect(config.temporal, note, signal)
    if (temporal !== null) await runConnected(run, temporal, metrics, readiness)
  } finally {
    stopStatus?.()
  }
}

/** The SDK's native part, of which a process has one. */
function installRuntime(): void {
  if (hasRuntime) return
  hasRuntime = true
  Runtime.install({
    logger: temporalLogger(),
    shutdownSignals: [],
    // Else it would write its lines to standard error in another format.
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
    },
  })
}

let hasRuntime = false

async function runConnected(
  run: WorkerRun,
  temporal: TemporalLink,
  metrics: WorkerMetrics,
  readiness: Readiness,
): Promise<void> {
  const { config, signal } = run
  const client = new CoordinatorClient(run.coordinator)
  const host = run.activities
    ? openHostSide(run, { coordinator: client, temporal, metrics, heartbeat: () => heartbeat })
    : null
  const queues = queuesOf(run)
  const activityTypes = Object.keys(host?.activities ?? {})
  const body = {
    datacenter: config.datacenter,
    types: config.types,
    labels: config.labels,
    build_id: buildOf(run),
    version: ownVersion(),
    boot_id: await readBootId(config.boot_id_file),
    queues: queues.map(({ name, bundle }) => ({
      name,
      workflow_types: bundle?.types ?? [],
      activity_types: activityTypes,
    })),
  }
  const heartbeat = new Heartbeat(client, config.node, body, (problem) => {
    readiness.note('coordinator', problem)
    if (problem === null) metrics.beat()
  })
  const sinks = {
    resile: { closed: { fn: (_: unknown, id: string) => heartbeat.reportClosed(id), callDuringReplay: false } },
  }
  const identity = `${config.node}/${process.pid}`
  // All are polled over one connection, with the same rights.
  const polled = queues.slice(0, 1)
  const ended = new AbortController()
  const beside = Promise.all([
    host?.run(ended.signal),
    watchTemporal(
      () => temporal.connection,
      (problem) => noteTemporal(readiness, config.temporal.address, problem),
      ended.signal,
    ),
    ...polled.map(({ name }) =>
      watchPolls(
        () => temporal.connection,
        { namespace: config.temporal.namespace, queue: name, takesActivities: run.activities, identity },
        (problem) => readiness.note('queues', problem),
        AbortSignal.any([ended.signal, signal]),
      ),
    ),
  ])
  let renewals = Promise.resolve()
  try {
    const workers = await Promise.all(
      queues.map(({ name, bundle }) =>
        Worker.create({
          ...queueOptions(bundle),
          connection: temporal.connection,
          ...(host === null ? {} : { activities: host.activities }),
          interceptors: { activity: [metrics.countActivities, keepHeaders] },
          taskQueue: name,
          sinks: sinks satisfies InjectedSinksOf<ResileSinks>,
          namespace: config.temporal.namespace,
          identity,
        }),
      ),
    )
    const names = queues.map(({ name }) => name)
    run.onStarted()
    log('info', 'worker_started', { node: config.node, queues: names, workflow_types: run.bundle?.types ?? [] })
    renewals = temporal.keepCurrent(workers, ended.signal)
    await serveQueues(workers, heartbeat, readiness, signal)
  } finally {
    heartbeat.stop()
    ended.abort()
    client.close()
    host?.close()
    await beside
    await renewals
    await temporal.close()
  }
}

/** The task queues that it polls, and the bundle of those whose workflow tasks it takes. */
function queuesOf(run: WorkerRun): { name: string; bundle: StoredBundle | null }[] {
  const { datacenter, node, types } = run.config
  const isTaken = (queue: string): boolean =>
    run.workflows === 'all' || (run.workflows === 'datacenter' && queue === datacenterQueue(datacenter))
  return queuesOfNode(datacenter, node, types)
    .map((name) => ({ name, bundle: isTaken(name) ? run.bundle : null }))
    .filter(({ bundle }) => run.activities || bundle !== null)
}

function buildOf({ bundle }: WorkerRun): string {
  return bundle?.id ?? 'activities-only'
}

function noteTemporal(readiness: Readiness, address: string, problem: string | null): void {
  if (!readiness.note('temporal', problem)) return
  if (problem === null) log('info', 'temporal_reachable', { address })
  else log('warn', 'temporal_unreachable', { address, detail: problem })
}

type InjectedSinksOf<Sinks> = {
  [Name in keyof Sinks]?: {
    [Method in keyof Sinks[Name]]?: { fn: (info: never, ...args: never[]) => void; callDuringReplay?: boolean }
  }
}
