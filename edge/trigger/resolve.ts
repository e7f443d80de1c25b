/** Resolves a trigger request into a trigger that a ledger can judge and forward without knowing the config. */
import type { Config } from '../../shared/config.ts'
import { exclusiveWorkflows, resolveConstraints, type Workflow } from '../../shared/workflows.ts'
import { identityOf } from '../config.ts'
import { checkAt } from '../http/problem.ts'
import type { Fleet, Starting, Trigger, Unavailable } from '../ledger/types.ts'
import { type Ledgers, orUnavailable } from '../ledgers.ts'
import { validateInput } from './input.ts'
import type { TriggerRequest } from './request.ts'
import { type CheckedTarget, checkTarget, queuesOf } from './target.ts'
import { findWorkflow } from './workflow.ts'

/**
 * Resolves a trigger request by what the config says and the rosters know now.
 *
 * @throws ProblemError when its target or input does not fit the workflow
 */
export async function resolveTrigger(ledgers: Ledgers, config: Config, request: TriggerRequest): Promise<Trigger> {
  const { workflow, caller, reason, trigger, valid_for, pointer, traceparent } = request
  const checked = checkAt(pointer, () => checkTarget(config, workflow, request.target))
  const input = checkAt(pointer, () => validateInput(workflow.input, request.input, trigger?.fingerprint !== undefined))
  const bound = await boundDatacenter(ledgers, request)
  return route(ledgers, config, workflow, checked, bound, {
    caller,
    reason: reason ?? null,
    trigger: trigger ?? null,
    input,
    traceparent,
    validFor: Math.min(valid_for ?? workflow.valid_for, workflow.valid_for),
  })
}

/**
 * Resolves the trigger of an execution that awaits approval once more: its workflow may be configured differently by now.
 * What its caller said stays as it was.
 *
 * @throws ProblemError when its workflow is gone, or its target no longer fits
 */
export async function resolveAgain(ledgers: Ledgers, config: Config, waiting: Trigger): Promise<Trigger> {
  const workflow = findWorkflow(config, waiting.workflow)
  const checked = checkTarget(config, workflow, waiting.target)
  const { input, traceparent } = waiting.start
  return route(ledgers, config, workflow, checked, waiting.datacenter, { ...waiting, input, traceparent })
}

/** The part of a trigger that its caller determines. */
type Said = Pick<Trigger, 'caller' | 'reason' | 'trigger' | 'validFor'> &
  Pick<Trigger['start'], 'input' | 'traceparent'>

/** @param bound the datacenter whose ledger decides; null for the one where its node lives, else the first */
async function route(
  ledgers: Ledgers,
  config: Config,
  workflow: Workflow,
  checked: CheckedTarget,
  bound: string | null,
  { caller, reason, trigger, validFor, input, traceparent }: Said,
): Promise<Trigger> {
  const { node, target } = checked
  const datacenter = bound ?? checked.datacenter ?? (await datacenterOf(ledgers, node ?? ''))
  const { taskQueue, workflowQueue } = queuesOf(workflow, checked, datacenter)
  const roster = ledgers.roster(datacenter)
  const countsNodes = node !== null && workflow.constraint.some(({ kind }) => kind === 'maxUnavailable')
  const [availability, fleets] = await orUnavailable(() =>
    Promise.all([
      roster.availability(taskQueue, workflowQueue, workflow.type) as Promise<Unavailable | Starting | null>,
      countsNodes ? (roster.fleetsOf(node) as Promise<Fleet[] | null>) : [],
    ]),
  )
  const isStarting = availability?.code === 'starting'
  return {
    workflow: workflow.name,
    datacenter,
    caller,
    target,
    node,
    taskQueue,
    reason,
    trigger,
    mode: workflow.mode,
    constraints: resolveConstraints(config, workflow),
    exclusive: exclusiveWorkflows(config),
    fleets: fleets ?? [],
    config: identityOf(config),
    starting: fleets === null ? 'it is not known yet which nodes are live' : isStarting ? availability.detail : null,
    datacenters: ledgers.datacenters,
    unavailable: isStarting ? null : availability,
    start: {
      namespace: config.coordinator.temporal.namespace,
      workflowType: workflow.type,
      workflowQueue,
      input,
      timeout: workflow.timeout,
      traceparent,
      receiver: workflow.escalation?.receiver ?? null,
    },
    validFor,
  }
}

/** The datacenter where a node lives, else the coordinator's first. */
async function datacenterOf(ledgers: Ledgers, node: string): Promise<string> {
  const found = await orUnavailable(() => ledgers.any(async (datacenter) => ledgers.roster(datacenter).node(node)))
  return found?.datacenter ?? ledgers.datacenters[0] ?? ''
}

/** The datacenter whose ledger knows an idempotency key: a resend goes there, even if its node has moved or died since. */
async function boundDatacenter(
  ledgers: Ledgers,
  { workflow, caller, idempotency }: TriggerRequest,
): Promise<string | null> {
  if (idempotency === null || ledgers.datacenters.length === 1) return null
  const bound = await orUnavailable(() =>
    ledgers.any(async (datacenter) => {
      const known = await ledgers.of(datacenter).hasKey(workflow.name, caller, idempotency.key)
      return known ? datacenter : null
    }),
  )
  return bound?.datacenter ?? null
}
