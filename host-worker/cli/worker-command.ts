import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { log } from '../../shared/log.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import type { Project } from '../config/project.ts'
import { CommandError, usage } from '../process/exit-codes.ts'
import { planSource } from '../process/reloadable.ts'
import { stopSignal } from '../process/stop-signal.ts'
import { becomeWorker } from '../worker/become-worker.ts'
import { type StoredBundle, storedBundle } from '../worker/bundle-store.ts'
import type { WorkerPlan } from '../worker/worker-run.ts'
import { workflowSources } from '../worker/workflow-sources.ts'
import { dataDirectory } from './coordinator-address.ts'
import { type NodeOptions, nodeConfig, nodeCoordinator } from './node-config.ts'

interface WorkerOptions extends NodeOptions {
  data?: string
  workflows?: string | true
  activities: boolean
  workflowBundle?: string
  overlay?: string
  printPlan: boolean
}

/** `resile worker` */
export async function worker(options: WorkerOptions): Promise<void> {
  const overlays = options.overlay === undefined ? [] : [options.overlay]
  const project = await loadOrFail(options.project, { development: true, host: true, overlays })
  const config = nodeConfig(options, project)
  const coordinator = options.coordinator ?? config.coordinator?.url
  if (coordinator === undefined)
    throw usage('no coordinator: worker.hcl has no coordinator block, and --coordinator is not given')
  const workflows = workflowsOf(options)
  if (!options.activities && workflows === 'none')
    throw usage('--no-activities leaves nothing to do without --workflows')
  const signal = stopSignal()
  const data = resolve(dataDirectory(options))
  const plan: WorkerPlan = {
    config,
    // A node's own: several may run on one machine.
    data: join(data, 'workers', config.datacenter, config.node),
    activities: options.activities,
    workflows,
    directory: resolve(options.project),
    coordinator: nodeCoordinator(coordinator, options, config),
    bundle: workflows === 'none' ? null : await bundleOf(options, project, data),
    source: planSource(),
  }
  if (options.printPlan) process.stdout.write(JSON.stringify(plan))
  else await becomeWorker(plan, data, signal)
}

function workflowsOf({ workflows }: WorkerOptions): WorkerPlan['workflows'] {
  if (workflows === undefined) return 'none'
  if (workflows === true) return 'datacenter'
  if (workflows === 'all') return 'all'
  throw usage(`--workflows takes no value, or =all, not ${workflows}`)
}

async function bundleOf(options: WorkerOptions, project: Project, data: string): Promise<StoredBundle> {
  if (options.workflowBundle === undefined) {
    const left: string[] = []
    const bundle = await storedBundle(workflowSources(project), data, ({ type, code, message }) => {
      left.push(`${type}: ${message}`)
      // The plan has stdout to itself.
      if (!options.printPlan) log('error', 'workflow_not_bundled', { type, code, detail: message })
    })
    // A start serves the others; a reload must not take away what is served now.
    if (options.printPlan && left.length > 0) throw new CommandError(left.join('\n'))
    return bundle
  }
  return JSON.parse(await readFile(options.workflowBundle, 'utf8')) as StoredBundle
}
