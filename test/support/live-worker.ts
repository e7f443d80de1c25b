/** A coordinator that everybody may call, and one worker process of it, for one test. */
import { atEnd } from './cleanup.ts'
import type { Coordinator } from './coordinator.ts'
import { dataDirectory } from './data.ts'
import type { List } from './http.ts'
import { type Running, startResile } from './processes.ts'
import type { TemporalNamespace } from './shared-temporal.ts'
import { until } from './until.ts'

/** A coordinator.hcl without TLS, whose only rule lets every caller make every request. */
export function openCoordinatorHcl({ httpUrl, namespace }: TemporalNamespace): string {
  return `
    datacenter = "dc1"
    server_config {
      route_rule {
        name = "all"
        method = "*"
        route_patterns = ["/*"]
        allow_public = true
      }
    }
    temporal {
      http_url = "${httpUrl}"
      namespace = "${namespace}"
    }`
}

/** What a worker needs to know. */
export interface WorkerPlace {
  project: string
  coordinator: Coordinator
  /** How it reaches that: a URL, or `unix:PATH`. */
  address: string
  temporal: TemporalNamespace
}

/** Starts `resile worker` for all workflows, and waits until it is the only live node. */
export async function startLiveWorker({
  project,
  coordinator,
  address,
  temporal,
}: WorkerPlace): Promise<{ data: string }> {
  const data = dataDirectory()
  const worker = startResile([
    'worker',
    '--workflows=all',
    `--project=${project}`,
    `--data=${data}`,
    `--coordinator=${address}`,
    `--temporal-address=${temporal.address}`,
    `--namespace=${temporal.namespace}`,
  ])
  atEnd(() => stopped(worker))
  const nodes = async () => (await coordinator.call<List<unknown>>('/v1/nodes')).body.items
  await until('the worker is live', async () => (await nodes()).length === 1, { within: 60_000 })
  return { data }
}

/** Stops a process as a service manager does, and waits for its end. */
export async function stopped(process: Running): Promise<void> {
  process.kill('SIGTERM')
  await process.ended
}
