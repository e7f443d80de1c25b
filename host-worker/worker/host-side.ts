/** What a worker needs to carry out activities on its host: permits and their keys, the journal, the activities. */
import { hostname } from 'node:os'
import { checkPolicy } from '../../shared/check-policy.ts'
import type { WorkerConfig } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { JWKS_PATH } from '../../shared/permit.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { readBootId } from '../process/boot-id.ts'
import { readTrustedFile } from '../process/file-trust.ts'
import { hostActivities } from './activities/index.ts'
import type { Heartbeat } from './heartbeat.ts'
import { Journal } from './journal/journal.ts'
import { inJournal } from './journal/run-once.ts'
import type { WorkerMetrics } from './metrics.ts'
import { checkClearance } from './permits/clearance.ts'
import { permitGate } from './permits/gate.ts'
import { type KeySource, PermitKeyStore } from './permits/key-store.ts'
import { readRunRecord } from './permits/run-record.ts'
import type { TemporalLink } from './temporal-link.ts'
import type { WorkerRun } from './worker-run.ts'

/** How long a coordinator may take to name its keys, in milliseconds. */
const KEYS_TIMEOUT_MS = 4000

/** A worker's connections and its own metrics. */
export interface HostLinks {
  coordinator: CoordinatorClient
  temporal: TemporalLink
  metrics: WorkerMetrics
  /** Made with the names of the activities, and so after them. */
  heartbeat: () => Heartbeat
}

/** The host's side of a worker. */
export interface HostSide {
  activities: ReturnType<typeof hostActivities>
  /** Keeps the coordinator's keys current until the signal aborts. */
  run: (signal: AbortSignal) => Promise<void>
  close: () => void
}

/** Opens the journal of the node. @throws Error when it can't be opened */
export function openHostSide({ config, directory, data }: WorkerRun, links: HostLinks): HostSide {
  const { coordinator, temporal, metrics, heartbeat } = links
  const { namespace } = config.temporal
  const keys = new PermitKeyStore(keySources(coordinator, config))
  const journal = openJournal(data)
  const permits = permitGate({
    host: { namespace, datacenter: config.datacenter, node: config.node, types: config.types },
    keys,
    readRun: (id) => readRunRecord(temporal.connection, namespace, id),
    onRefused: (reason, execution) => {
      metrics.permitRefused(reason)
      heartbeat().reportRefused(execution, reason)
    },
    hasChanged: (execution) => inJournal(() => journal.hasChanged(execution)),
    bind: (execution, firstRunId) => inJournal(() => journal.bind(execution, firstRunId, Date.now())),
    clear: (change) => checkClearance(heartbeat(), change, Date.now()),
  })
  const activities = hostActivities({
    node: config.node,
    directory,
    commands: config.command,
    checks: checkPolicy(config.checks.hosts, [config.node, hostname()]),
    loadBalancers: config.load_balancer,
    freeDisk: config.free_disk,
    repositories: config.repository,
    diagnostics: config.diagnostics ?? null,
    data,
    permits,
    journal,
    bootId: () => readBootId(config.boot_id_file),
  })
  return { activities, run: (signal) => keys.run(signal), close: () => journal.close() }
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
