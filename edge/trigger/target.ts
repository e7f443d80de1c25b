/** Where a trigger's work is done: target, datacenter and task queues. */
import { type Config, datacentersOf } from '../../shared/config.ts'
import { datacenterQueue, isName, NAME_RULE, nodeQueue, nodeTypeQueue } from '../../shared/names.ts'
import type { Target } from '../../shared/wire.ts'
import type { Workflow } from '../../shared/workflows.ts'
import { jsonPointer, ProblemError } from '../http/problem.ts'

/** A checked target; `datacenter` is null when the caller left it open and it depends on where the node lives. */
export interface CheckedTarget {
  target: Target
  datacenter: string | null
  node: string | null
  nodeType: string | null
}

/** The queues of a start: where its on-host activities run, and where the workflow's own tasks run. */
export interface Queues {
  taskQueue: string
  workflowQueue: string
}

/**
 * Checks that a target has the keys that the workflow's `task_queue_target` requires.
 *
 * @throws ProblemError `invalid_target` with the path of the mistake
 */
export function checkTarget(config: Config, workflow: Workflow, given: Target | undefined): CheckedTarget {
  const target = given ?? {}
  for (const [key, value] of Object.entries(target)) {
    if (value !== undefined && !isName(value)) throw invalid([key], `not a name: ${NAME_RULE}`)
  }
  const owned = datacentersOf(config.coordinator)
  if (target.datacenter !== undefined && !owned.includes(target.datacenter)) {
    throw invalid(['datacenter'], `this coordinator serves ${owned.join(', ')}`)
  }
  const [scope, fixedType] = splitTarget(workflow.task_queue_target)
  const node = scope === 'node' ? required(target, 'node') : forbidden(target, 'node', scope)
  const nodeType = scope === 'node_type' ? typeOfTarget(target, fixedType) : forbidden(target, 'node_type', scope)
  // Only a node has a datacenter by itself; any other target without one goes to the first.
  const datacenter = target.datacenter ?? (node === null || owned.length === 1 ? (owned[0] ?? null) : null)
  return {
    node,
    nodeType,
    datacenter,
    target: {
      ...(node === null ? {} : { node }),
      ...(nodeType === null ? {} : { node_type: nodeType }),
      ...(target.datacenter === undefined && scope !== 'datacenter' ? {} : { datacenter: datacenter ?? '' }),
    },
  }
}

/** The task queues of a target in its datacenter. */
export function queuesOf(workflow: Workflow, checked: CheckedTarget, datacenter: string): Queues {
  const general = datacenterQueue(datacenter)
  const taskQueue =
    checked.node !== null
      ? nodeQueue(datacenter, checked.node)
      : checked.nodeType !== null
        ? nodeTypeQueue(datacenter, checked.nodeType)
        : general
  return { taskQueue, workflowQueue: workflow.workflow_queue === 'target' ? taskQueue : general }
}

function splitTarget(target: string): ['node' | 'node_type' | 'datacenter', string | null] {
  if (target === 'node' || target === 'datacenter') return [target, null]
  return ['node_type', target.startsWith('node_type:') ? target.slice('node_type:'.length) : null]
}

function required(target: Target, key: 'node' | 'node_type'): string {
  const value = target[key]
  if (value === undefined) throw invalid([key], 'is required')
  return value
}

function forbidden(target: Target, key: 'node' | 'node_type', scope: string): null {
  if (target[key] !== undefined) throw invalid([key], `the workflow runs on a ${scope}, not on a ${key}`)
  return null
}

function typeOfTarget(target: Target, fixed: string | null): string {
  if (fixed === null) return required(target, 'node_type')
  if (target.node_type !== undefined && target.node_type !== fixed) {
    throw invalid(['node_type'], `the workflow runs on nodes of type ${fixed} only`)
  }
  return fixed
}

function invalid(path: readonly string[], message: string): ProblemError {
  return new ProblemError('invalid_target', 'the target does not fit the workflow', {
    errors: [{ path: jsonPointer(['target', ...path]), message }],
  })
}
