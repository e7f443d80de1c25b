/** A host's worker: serves the node's queues over one connection, and reports to the coordinator that it does. */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { checkPolicy } from '../../shared/check-policy.ts'
import type { WorkerConfig } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { datacenterQueue, queuesOfNode } from '../../shared/names.ts'
import { JWKS_PATH } from '../../shared/permit.ts'
import type { ResileSinks } from '../../workflows/sdk/interceptors.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../net/coordinator-client.ts'
import { serveStatus } from '../net/status-server.ts'
import { readBootId } from '../process/boot-id.ts'
import { readTrustedFile } from '../process/file-trust.ts'
import { hostActivities } from './activities/index.ts'
import type { StoredBundle } from './bundle-store.ts'
import { Heartbeat } from './heartbeat.ts'
import { Journal } from './journal/journal.ts'
import { inJournal } from './journal/run-once.ts'
import { WorkerMetrics } from './metrics.ts'
import { checkClearance } from './permits/clearance.ts'
import { keepHeaders, permitGate } from './permits/gate.ts'
import { type KeySource, PermitKeyStore } from './permits/key-store.ts'
import { readRunRecord } from './permits/run-record.ts'
import { Readiness } from './readiness.ts'
import { TemporalLink } from './temporal-link.ts'
import { temporalLogger } from './temporal-logger.ts'
import { watchTemporal } from './watch-temporal.ts'

/** How a worker runs. */
export interface WorkerRun {
  config: WorkerConfig
  /** The project, working directory of commands. */
  directory: string
  /** Where the node keeps its journal and all that is its own; held by one worker. */
  data: string
  coordinator: CoordinatorAddress
  /** Whose workflow tasks it takes: of no queue, of its datacenter's general queue, or of all its queues. */
  workflows: 'none' | 'datacenter' | 'all'
  /** Wanted unless `workflows` is `none`. */
  bundle: StoredBundle | null
  /** Ends the worker gracefully when it aborts. */
  signal: AbortSignal
}

/**
 * From the signal to stop until the coordinator must know of it (in milliseconds); from then until activities are
 * cancelled, and until the process no longer waits for them.
 */
const SHUTDOWN = { announceTime: 1500, graceTime: '3s', forceTime: '10s' } as const
/** How long a coordinator may take to name its keys, in milliseconds. */
const KEYS_TIMEOUT_MS = 4000

/**
 * Runs until the signal aborts. Returns when all queues are shut down.
 *
 * @throws what Temporal's worker throws when it can't go on, such as a namespace that is gone
 */
export async function runWorker(run: WorkerRun): Promise<void> {
  const { config, signal } = run
  const readiness = new Readiness()
  const metrics = new WorkerMetrics({ node: config.node, build: buildOf(run) }, readiness)
  const stopStatus = config.metrics === undefined ? null : await serveStatus(metrics, readiness, config.metrics.listen)
  try {
    Runtime.install({ logger: temporalLogger(), shutdownSignals: [] })
    const { address } = config.temporal
    const note = (problem: string | null): void => noteTemporal(readiness, address, problem)
    const temporal = await TemporalLink.connect(config.temporal, note, signal)
    if (temporal !== null) await runConnected(run, temporal, metrics, readiness)
  } finally {
    stopStatus?.()
  }
}

async function runConnected(
  run: WorkerRun,
  temporal: TemporalLink,
  metrics: WorkerMetrics,
  readiness: Readiness,
): Promise<void> {
  const { config, signal } = run
  const client = new CoordinatorClient(run.coordinator)
  const queues = queuesOfNode(config.datacenter, config.node, config.types)
  const keys = new PermitKeyStore(keySources(client, config))
  const { namespace } = config.temporal
  const journal = openJournal(run.data)
  const permits = permitGate({
    host: { namespace, datacenter: config.datacenter, node: config.node, types: config.types },
    keys,
    readRun: (id) => readRunRecord(temporal.connection, namespace, id),
    onRefused: (reason, execution) => {
      metrics.permitRefused(reason)
      heartbeat.reportRefused(execution, reason)
    },
    boundRun: (execution) => inJournal(() => journal.boundRun(execution)),
    bind: (execution, firstRunId) => inJournal(() => journal.bind(execution, firstRunId, Date.now())),
    clear: (change) => checkClearance(heartbeat, change, Date.now()),
  })
  const bootId = (): Promise<string> => readBootId(config.boot_id_file)
  const activities = hostActivities({
    node: config.node,
    directory: run.directory,
    commands: config.command,
    checks: checkPolicy(config.checks.hosts, [config.node, hostname()]),
    loadBalancers: config.load_balancer,
    freeDisk: config.free_disk,
    repositories: config.repository,
    diagnostics: config.diagnostics ?? null,
    data: run.data,
    permits,
    journal,
    bootId,
  })
  const workflowQueues = new Set(
    queues.filter(
      (queue) =>
        run.workflows === 'all' || (run.workflows === 'datacenter' && queue === datacenterQueue(config.datacenter)),
    ),
  )
  const body = {
    datacenter: config.datacenter,
    types: config.types,
    labels: config.labels,
    build_id: buildOf(run),
    boot_id: await bootId(),
    queues: queues.map((name) => ({
      name,
      workflow_types: workflowQueues.has(name) ? (run.bundle?.types ?? []) : [],
      activity_types: Object.keys(activities),
    })),
  }
  const heartbeat = new Heartbeat(client, config.node, body, (problem) => {
    readiness.note('coordinator', problem)
    if (problem === null) metrics.beat()
  })
  const sinks = {
    resile: { closed: { fn: (_: unknown, id: string) => heartbeat.reportClosed(id), callDuringReplay: false } },
  }
  const ended = new AbortController()
  const beside = Promise.all([
    keys.run(ended.signal),
    watchTemporal(
      () => temporal.connection,
      (problem) => noteTemporal(readiness, config.temporal.address, problem),
      ended.signal,
    ),
  ])
  let renewals = Promise.resolve()
  try {
    const workers = await Promise.all(
      queues.map((taskQueue) =>
        Worker.create({
          ...queueOptions(run, workflowQueues.has(taskQueue)),
          connection: temporal.connection,
          activities,
          interceptors: { activity: [metrics.countActivities, keepHeaders] },
          taskQueue,
          sinks: sinks satisfies InjectedSinksOf<ResileSinks>,
          namespace: config.temporal.namespace,
          identity: `${config.node}/${process.pid}`,
        }),
      ),
    )
    log('info', 'worker_started', { node: config.node, queues, workflow_types: run.bundle?.types ?? [] })
    renewals = temporal.keepCurrent(workers, ended.signal)
    await serve(workers, heartbeat, readiness, signal)
  } finally {
    heartbeat.stop()
    ended.abort()
    client.close()
    journal.close()
    await beside
    await renewals
    await temporal.close()
  }
}

function openJournal(directory: string): Journal {
  const journal = new Journal(directory)
  try {
    journal.forget(Date.now())
    journal.makeRoom()
  } catch (error) {
    // What can't be written down won't be begun; whatever only looks can still be done.
    log('warn', 'journal_without_room', { detail: messageOf(error) })
  }
  return journal
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

/** Its own coordinator, and what worker.hcl trusts besides. */
function keySources(client: CoordinatorClient, config: WorkerConfig): KeySource[] {
  const { jwks_urls, jwks_files } = config.permits
  return [
    { name: 'the coordinator', read: () => readKeys(client, JWKS_PATH) },
    ...jwks_urls.map((url) => {
      const { origin, pathname } = new URL(url)
      const other = new CoordinatorClient({ url: origin, tls: config.coordinator ?? {} })
      return { name: url, read: () => readKeys(other, pathname) }
    }),
    ...jwks_files.map((file) => ({
      name: file,
      read: async (): Promise<unknown> => JSON.parse(await readTrustedFile(file)),
    })),
  ]
}

async function readKeys(client: CoordinatorClient, path: string): Promise<unknown> {
  const { status, text, json } = await client.request('GET', path, { timeout: KEYS_TIMEOUT_MS })
  if (status !== 200) throw new Error(`HTTP ${status}: ${text.slice(0, 200)}`)
  return json
}

/** Serves until stopped, or until one of the queues fails: then all are shut down, and its error is thrown. */
async function serve(
  workers: readonly Worker[],
  heartbeat: Heartbeat,
  readiness: Readiness,
  signal: AbortSignal,
): Promise<void> {
  const stop = async (): Promise<void> => {
    readiness.note('queues', 'the worker is stopping')
    // First no new work, then the end: running activities get their grace time. A coordinator that doesn't get this
    await Promise.race([heartbeat.drain(), sleep(SHUTDOWN.announceTime)])
    for (const worker of workers) {
      if (worker.getState() === 'RUNNING') worker.shutdown()
    }
  }
  let stopping: Promise<void> | undefined
  const stopOnce = (): void => {
    stopping ??= stop()
  }
  const running = workers.map((worker) => worker.run())
  readiness.note('queues', null)
  const heartbeats = heartbeat.run()
  if (signal.aborted) stopOnce()
  signal.addEventListener('abort', stopOnce, { once: true })
  for (const run of running) run.catch(stopOnce)
  const outcomes = await Promise.allSettled(running)
  heartbeat.stop()
  await Promise.all([heartbeats, stopping])
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

function queueOptions(run: WorkerRun, takesWorkflows: boolean): Partial<WorkerOptions> {
  const one = { type: 'simple-maximum', maximum: 1 } as const
  return {
    // The older `maxConcurrent…Polls` options are ignored by the SDK; idle long polls are what a large fleet pays for.
    activityTaskPollerBehavior: one,
    // A cancellation reaches a command with its next heartbeat.
    maxHeartbeatThrottleInterval: '2s',
    defaultHeartbeatThrottleInterval: '2s',
    shutdownGraceTime: SHUTDOWN.graceTime,
    shutdownForceTime: SHUTDOWN.forceTime,
    ...(takesWorkflows && run.bundle !== null
      ? {
          workflowBundle: { codePath: run.bundle.file },
          workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
          maxCachedWorkflows: 100,
        }
      : {}),
  }
}
