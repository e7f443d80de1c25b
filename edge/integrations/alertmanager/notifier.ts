/**
 * Alerts for Prometheus' Alertmanager.
 *
 * @see https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml
 */
import type { EscalatedStatus, Escalation } from '../../../shared/wire.ts'
import type { Delivery } from '../../notify/deliver.ts'
import { escalationOf, type Notifier } from '../../notify/notifier.ts'
import { commandsFor, cut, evidenceOf, receiptOf, resetCommand, SEVERITIES } from '../../notify/wording.ts'

export const notifier: Notifier = {
  kind: 'alertmanager',
  deliveryOf(_, { alertmanager }, notification) {
    if (alertmanager === undefined) return null
    return toAlertmanager(alertmanager.url, notification.status, escalationOf(notification), notification.endedAt)
  },
}

const ALERT_NAME = 'ResileEscalation'
const HOUR_MS = 3_600_000
/** Length of an annotation, in characters: they end up in mails and chats. */
const MAX_ANNOTATION_LENGTH = 4096

/** How long an alert holds, in milliseconds, if nothing ends it before; `open` for statuses that can be left again. */
const ALERT_LIFE_MS = { ended: 24 * HOUR_MS, open: 744 * HOUR_MS }

/**
 * The alert on an execution, which is known by its labels: posted again, it is the same.
 *
 * @param url     Alertmanager's base URL
 * @param status  the escalated status
 * @param endedAt when the status had passed, in milliseconds since the epoch; null while it holds
 */
function toAlertmanager(url: string, status: EscalatedStatus, message: Escalation, endedAt: number | null): Delivery {
  const startsAt = Date.parse(message.at)
  const { execution, decision } = message
  const { node, node_type } = execution.target
  const evidence = evidenceOf(execution)
  const alert = {
    labels: {
      alertname: ALERT_NAME,
      severity: SEVERITIES[status],
      status,
      workflow: message.workflow,
      datacenter: message.datacenter,
      execution: execution.id ?? execution.workflow_id,
      ...(node === undefined ? {} : { node }),
      ...(node_type === undefined ? {} : { node_type }),
    },
    annotations: {
      summary: cut(message.summary, MAX_ANNOTATION_LENGTH),
      description: cut(describe(status, message), MAX_ANNOTATION_LENGTH),
      ...(decision === null ? {} : { receipt: cut(receiptOf(decision), MAX_ANNOTATION_LENGTH) }),
      ...(evidence === null ? {} : { evidence: cut(evidence, MAX_ANNOTATION_LENGTH) }),
    },
    startsAt: message.at,
    // Without one it would be resolved after five minutes.
    endsAt: new Date(
      endedAt === null
        ? startsAt + (status === 'lost' || status === 'stuck' ? ALERT_LIFE_MS.open : ALERT_LIFE_MS.ended)
        : Math.max(endedAt, startsAt),
    ).toISOString(),
  }
  return { url: `${url.replace(/\/+$/, '')}/api/v2/alerts`, body: JSON.stringify([alert]) }
}

function describe(status: EscalatedStatus, { summary, execution, decision, tripped }: Escalation): string {
  return [
    summary,
    ...(decision?.reason ? [`Reason of the trigger: ${decision.reason}`] : []),
    ...(decision === null ? [] : [`Triggered at ${decision.at} by ${decision.caller}.`]),
    ...commandsFor(status, execution.id ?? ''),
    ...(tripped.length === 0 ? [] : [resetCommand(execution.workflow)]),
  ].join('\n')
}
