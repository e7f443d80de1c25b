/** Parts of messages about executions, in words. */
import type { Decision, EscalatedStatus, Execution, Target } from '../../shared/wire.ts'

/** How urgent a status is. */
export const SEVERITIES: Readonly<Record<EscalatedStatus, 'critical' | 'warning'>> = {
  failed: 'critical',
  timed_out: 'critical',
  terminated: 'critical',
  expired: 'warning',
  lost: 'critical',
  stuck: 'critical',
  awaiting_approval: 'warning',
}

/** The commands that help, with the execution's id. */
export function commandsFor(status: EscalatedStatus, id: string): string[] {
  return TO_DO[status].map((command) => `${command} ${id}`)
}

const TO_DO: Readonly<Record<EscalatedStatus, readonly string[]>> = {
  failed: ['resile executions'],
  timed_out: ['resile executions'],
  terminated: ['resile executions'],
  expired: ['resile executions'],
  stuck: ['resile executions', 'temporal workflow terminate --workflow-id'],
  lost: ['resile settle --status … --reason …'],
  awaiting_approval: ['resile approve', 'resile reject'],
}

/** The command that lets a workflow run again whose `maxFailure` is tripped. */
export function resetCommand(workflow: string): string {
  return `resile reset ${workflow} --reason … (once the cause is known)`
}

/** A decision's receipt, one constraint a line. */
export function receiptOf({ outcome, constraints }: Decision): string {
  const lines = constraints.map(
    ({ kind, scope, key, used, limit, period }) =>
      `${kind} (${scope} ${key}): ${used} of ${limit}${period === null ? '' : ` within ${period}`}`,
  )
  return [`${outcome}, ${lines.length === 0 ? 'without constraints' : 'used before it:'}`, ...lines].join('\n')
}

/** The result of an execution, or why it failed, as JSON; null when there is neither. */
export function evidenceOf({ result, error }: Execution): string | null {
  const evidence = error ?? result
  return evidence === null || evidence === undefined ? null : JSON.stringify(evidence)
}

/** Where something is done. */
export function placeOf({ node, node_type }: Target, datacenter: string): string {
  if (node !== undefined) return `on ${node}`
  return node_type === undefined ? `in ${datacenter}` : `on a node of type ${node_type} in ${datacenter}`
}

/** A text of at most so many characters, and what says that it was cut. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}… (cut)`
}
