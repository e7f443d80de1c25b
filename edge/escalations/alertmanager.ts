/**
 * Alerts for Prometheus' Alertmanager.
 *
 * @see https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml
 */
import type { Decision, EscalatedStatus, Escalation } from '../../shared/wire.ts'
import type { Delivery } from './deliver.ts'

const ALERT_NAME = 'ResileEscalation'
const HOUR = 3_600_000
/** Most of an annotation, in characters: they end in mails and chats. */
const ANNOTATION_MOST = 4096

/** How urgent a status is, and how long its alert holds, in milliseconds, if nothing ends it before. */
const STATUSES: Readonly<Record<EscalatedStatus, { severity: 'critical' | 'warning'; holds: number }>> = {
  failed: { severity: 'critical', holds: 24 * HOUR },
  timed_out: { severity: 'critical', holds: 24 * HOUR },
  terminated: { severity: 'critical', holds: 24 * HOUR },
  expired: { severity: 'warning', holds: 24 * HOUR },
  lost: { severity: 'critical', holds: 744 * HOUR },
  awaiting_approval: { severity: 'warning', holds: 24 * HOUR },
}

/**
 * The alert on an execution, which is known by its labels: posted again, it is the same.
 *
 * @param url     Alertmanager's base URL
 * @param status  what is told
 * @param endedAt when the status had passed, in milliseconds since the epoch; null while it holds
 */
export function toAlertmanager(
  url: string,
  status: EscalatedStatus,
  message: Escalation,
  endedAt: number | null,
): Delivery {
  const { severity, holds } = STATUSES[status]
  const startsAt = Date.parse(message.at)
  const { execution, decision } = message
  const { node, node_type } = execution.target
  const alert = {
    labels: {
      alertname: ALERT_NAME,
      severity,
      status,
      workflow: message.workflow,
      datacenter: message.datacenter,
      execution: execution.id ?? execution.workflow_id,
      ...(node === undefined ? {} : { node }),
      ...(node_type === undefined ? {} : { node_type }),
    },
    annotations: {
      summary: cut(message.summary),
      description: cut(describe(status, message)),
      ...(decision === null ? {} : { receipt: cut(receiptOf(decision)) }),
      ...evidenceOf(message),
    },
    startsAt: message.at,
    // Without one it would be resolved after five minutes.
    endsAt: new Date(endedAt === null ? startsAt + holds : Math.max(endedAt, startsAt)).toISOString(),
  }
  return { url: `${url.replace(/\/+$/, '')}/api/v2/alerts`, body: JSON.stringify([alert]) }
}

function describe(status: EscalatedStatus, { summary, execution, decision, tripped }: Escalation): string {
  return [
    summary,
    ...(decision?.reason ? [`Reason of the trigger: ${decision.reason}`] : []),
    ...(decision === null ? [] : [`Triggered at ${decision.at} by ${decision.caller}.`]),
    ...TO_DO[status].map((command) => `${command} ${execution.id}`),
    ...(tripped.length === 0 ? [] : [`resile reset ${execution.workflow} --reason … (once the cause is known)`]),
  ].join('\n')
}

/** Commands that help, to be followed by the execution's id. */
const TO_DO: Readonly<Record<EscalatedStatus, readonly string[]>> = {
  failed: ['resile executions'],
  timed_out: ['resile executions'],
  terminated: ['resile executions'],
  expired: ['resile executions'],
  lost: ['resile settle --status … --reason …'],
  awaiting_approval: ['resile approve', 'resile reject'],
}

function receiptOf({ outcome, constraints }: Decision): string {
  const lines = constraints.map(
    ({ kind, scope, key, used, limit, period }) =>
      `${kind} (${scope} ${key}): ${used} of ${limit}${period === null ? '' : ` within ${period}`}`,
  )
  return [`${outcome}, ${lines.length === 0 ? 'without constraints' : 'used before it:'}`, ...lines].join('\n')
}

function evidenceOf({ execution: { result, error } }: Escalation): { evidence?: string } {
  const evidence = error ?? result
  return evidence === null || evidence === undefined ? {} : { evidence: cut(JSON.stringify(evidence)) }
}

function cut(text: string): string {
  return text.length <= ANNOTATION_MOST ? text : `${text.slice(0, ANNOTATION_MOST).toWellFormed()}… (cut)`
}
