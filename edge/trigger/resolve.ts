/** Routing: from a checked target to a trigger that a ledger can judge without knowing the config. */
import { type Config, datacentersOf } from '../../shared/config.ts'
import type { TriggerSource } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import type { Fleet, Trigger, Unavailable } from '../ledger/types.ts'
import { anyDatacenter, orUnavailable, rosterOf } from '../ledgers.ts'
import { queuesOf, type RoutedTarget } from './target.ts'
import { allWorkflows, type Workflow } from './workflow.ts'

/** What of a trigger the caller said. */
export interface Told {
  caller: string
  reason: string | null
  trigger: TriggerSource | null
}

/** Where a trigger is judged, and where its workflow's own tasks run. */
export interface Routed {
  trigger: Trigger
  workflowQueue: string
}

/**
 * Routes a trigger by what the rosters know now.
 *
 * @param datacenter where it is judged; null for where its node lives, else the first
 */
export async function buildTrigger(
  env: Env,
  config: Config,
  workflow: Workflow,
  routed: RoutedTarget,
  told: Told,
  datacenter: string | null,
): Promise<Routed> {
  const home = datacenter ?? routed.datacenter ?? (await homeOf(env, config, routed.node ?? ''))
  const { taskQueue, workflowQueue } = queuesOf(workflow, routed, home)
  const roster = rosterOf(env, home)
  const { node } = routed
  const countsNodes = node !== null && workflow.constraint.some(({ kind }) => kind === 'maxUnavailable')
  const [unavailable, fleets] = await orUnavailable(() =>
    Promise.all([
      roster.availability(taskQueue, workflowQueue, workflow.type) as Promise<Unavailable | null>,
      countsNodes ? (roster.fleetsOf(node) as Promise<Fleet[] | null>) : [],
    ]),
  )
  const trigger: Trigger = {
    ...told,
    workflow: workflow.name,
    datacenter: home,
    target: routed.target,
    node,
    taskQueue,
    mode: workflow.mode,
    constraints: workflow.constraint,
    exclusive: exclusiveWorkflows(config),
    fleets: fleets ?? [],
    starting: fleets === null ? 'it is not known yet which nodes live' : null,
    datacenters: datacentersOf(config.coordinator),
    unavailable,
  }
  return { trigger, workflowQueue }
}

/** The workflows with an `exclusive` constraint. */
export function exclusiveWorkflows(config: Config): string[] {
  return allWorkflows(config).flatMap(({ name, constraint }) =>
    constraint.some(({ kind }) => kind === 'exclusive') ? [name] : [],
  )
}

/** The datacenter where a node lives, else the coordinator's first. */
async function homeOf(env: Env, config: Config, node: string): Promise<string> {
  const home = await orUnavailable(() =>
    anyDatacenter(config, async (datacenter) => rosterOf(env, datacenter).node(node)),
  )
  return home?.datacenter ?? datacentersOf(config.coordinator)[0] ?? ''
}
