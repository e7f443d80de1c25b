import type { DetectorConfig, WorkflowConfig } from '../../shared/config.ts'
import type { Places } from './hcl/compile.ts'
import { type Diagnostic, problem } from './hcl/diagnostic.ts'
import { didYouMean } from './hcl/suggest.ts'
import type { WorkflowFile } from './workflows.ts'

/** Doubts about a detector in view of the workflow that it starts. */
export function detectorWarnings(
  name: string,
  detector: DetectorConfig,
  workflows: Readonly<Record<string, WorkflowConfig>>,
  known: readonly string[],
  file: string,
  places: Places,
): Diagnostic[] {
  const warn = (key: string, message: string, permitted: string[] = []): Diagnostic => {
    const path = ['detector', name, key]
    return { file, ...problem(places.value(path), path, message, permitted) }
  }
  // A workflow with errors is not unknown.
  if (!known.includes(detector.workflow)) {
    return [warn('workflow', `no such workflow${didYouMean(detector.workflow, known)}`, [...known])]
  }
  const workflow = Object.hasOwn(workflows, detector.workflow) ? workflows[detector.workflow] : undefined
  const message = workflow && misfit(detector.target ?? {}, workflow.task_queue_target)
  return message
    ? [warn('target', `${message}: ${detector.workflow} has task_queue_target = "${workflow.task_queue_target}"`)]
    : []
}

/** A journal source that selects by nothing that only journald can have set. @see systemd.journal-fields(7) */
export function journalWarnings(name: string, { journal }: DetectorConfig, file: string, places: Places): Diagnostic[] {
  if (journal === undefined || journal.kernel || journal.units.length > 0) return []
  if (Object.keys(journal.fields).some((field) => field.startsWith('_'))) return []
  const path = ['detector', name, 'journal']
  const message =
    'any local user can write entries that it matches: select by units, kernel, or by fields that journald sets, ' +
    'such as fields = { _SYSTEMD_UNIT = "app.service" }'
  return [{ file, ...problem(places.key(path), path, message) }]
}

/** Errors in the receiver of a workflow's escalations: only a configured one can be notified. */
export function escalationErrors({ file, content, places }: WorkflowFile, receivers: readonly string[]): Diagnostic[] {
  const receiver = content?.output.escalation?.receiver
  if (receiver === undefined || receivers.includes(receiver)) return []
  const path = ['escalation', 'receiver']
  const hint = receivers.length === 0 ? ': coordinator.hcl has none' : didYouMean(receiver, receivers)
  return [{ file, ...problem(places.value(path), path, `no such receiver${hint}`, receivers) }]
}

/** Why a trigger's target does not fit a workflow, or null. */
function misfit(target: NonNullable<DetectorConfig['target']>, taskQueueTarget: string): string | null {
  const [kind, type] = taskQueueTarget.split(':')
  const keys = Object.keys(target).filter((key) => key !== 'datacenter')
  const extra = keys.find((key) => key !== kind)
  if (extra !== undefined) return `${extra} does not fit the workflow`
  if (type === undefined && kind !== 'datacenter' && keys.length === 0) return `needs ${kind}`
  const other = type !== undefined && target.node_type !== undefined && target.node_type !== type
  return other && !target.node_type?.includes('${') ? `node_type "${target.node_type}" does not fit the workflow` : null
}
