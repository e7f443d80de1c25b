import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type WorkerConfig, workerSchema } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
import { systemdCommands } from '../activities/systemd-commands.ts'
import type { Project } from '../config/project.ts'
import { becomeWorker, type WorkerPlan } from '../worker/become-worker.ts'
import { type StoredBundle, storedBundle } from '../worker/bundle-store.ts'
import { dataDirectory, parseAddress, type TlsOptions, tlsFiles } from './coordinator-address.ts'
import { CommandError, EXIT } from './exit-codes.ts'
import { loadOrFail } from './load-or-fail.ts'
import { stopSignal } from './stop-signal.ts'

interface WorkerOptions extends TlsOptions {
  project: string
  data?: string
  node?: string
  datacenter?: string
  types?: string
  coordinator?: string
  temporalAddress?: string
  namespace?: string
  metrics?: string
  workflows?: string | true
  workflowBundle?: string
  overlay?: string
}

/** `resile worker` */
export async function worker(options: WorkerOptions): Promise<void> {
  const overlays = options.overlay === undefined ? [] : [options.overlay]
  const project = await loadOrFail(options.project, { development: true, overlays })
  const config = nodeConfig(options, project)
  const coordinator = options.coordinator ?? config.coordinator?.url
  if (coordinator === undefined)
    throw usage('no coordinator: worker.hcl has no coordinator block, and --coordinator is not given')
  const workflows = workflowsOf(options)
  const signal = stopSignal()
  const data = resolve(dataDirectory(options))
  const plan: WorkerPlan = {
    config,
    // A node's own: several may run on one machine.
    data: join(data, 'workers', config.datacenter, config.node),
    workflows,
    directory: resolve(options.project),
    coordinator: parseAddress(coordinator, { ...config.coordinator, ...given(tlsFiles(options)) }),
    bundle: workflows === 'none' ? null : await bundleOf(options, project, data),
  }
  await becomeWorker(plan, data, signal)
}

/** worker.hcl, with the command line's word over it. */
function nodeConfig(options: WorkerOptions, project: Project): WorkerConfig {
  const { worker: file } = project
  const node = options.node ?? file?.node
  const datacenter = options.datacenter ?? file?.datacenter
  if (node === undefined || datacenter === undefined) {
    throw usage('which node is this? There is no worker.hcl, and --node and --datacenter are not both given')
  }
  const parsed = workerSchema.safeParse({
    node,
    datacenter,
    types: options.types === undefined ? (file?.types ?? []) : options.types.split(',').filter((type) => type !== ''),
    temporal: {
      ...file?.temporal,
      ...(options.temporalAddress === undefined ? {} : { address: options.temporalAddress }),
      ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    },
    permits: file?.permits ?? {},
    boot_id_file: file?.boot_id_file,
    metrics: options.metrics === undefined ? file?.metrics : { listen: options.metrics },
  })
  if (!parsed.success)
    throw usage(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
  return {
    ...parsed.data,
    labels: file?.labels ?? {},
    // What worker.hcl says itself comes first.
    command: { ...systemdCommands(file?.systemd), ...project.commands },
    load_balancer: file?.load_balancer ?? {},
    free_disk: file?.free_disk ?? {},
    repository: file?.repository ?? {},
    ...(file?.diagnostics === undefined ? {} : { diagnostics: file.diagnostics }),
    ...(file?.coordinator === undefined ? {} : { coordinator: file.coordinator }),
  }
}

/** Those of its keys that have a value. */
function given<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Options>
}

function workflowsOf({ workflows }: WorkerOptions): WorkerPlan['workflows'] {
  if (workflows === undefined) return 'none'
  if (workflows === true) return 'datacenter'
  if (workflows === 'all') return 'all'
  throw usage(`--workflows takes no value, or =all, not ${workflows}`)
}

async function bundleOf(options: WorkerOptions, project: Project, data: string): Promise<StoredBundle> {
  if (options.workflowBundle === undefined) {
    return storedBundle(workflowSources(project), data, ({ type, code, message }) =>
      log('error', 'workflow_not_bundled', { type, code, detail: message }),
    )
  }
  return JSON.parse(await readFile(options.workflowBundle, 'utf8')) as StoredBundle
}

/** The workflows of a project that have code. */
export function workflowSources(project: Project): { type: string; code: string }[] {
  return Object.values(project.workflows).flatMap(({ workflowType, code }) =>
    code === null ? [] : [{ type: workflowType, code }],
  )
}

function usage(message: string): CommandError {
  return new CommandError(message, EXIT.usage)
}
