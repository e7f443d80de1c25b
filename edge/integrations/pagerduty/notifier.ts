/**
 * Events for PagerDuty, by its Events API, version 2.
 *
 * @see https://developer.pagerduty.com/docs/send-alert-event
 * @see https://github.com/PagerDuty/api-schema/blob/main/reference/events-v2/openapiv3.json
 */
import type { EscalatedStatus, Escalation } from '../../../shared/wire.ts'
import type { Delivery } from '../../notify/deliver.ts'
import { escalationOf, type Notifier } from '../../notify/notifier.ts'
import { variableOf } from '../../notify/secret.ts'
import { commandsFor, cut, evidenceOf, receiptOf, resetCommand, SEVERITIES } from '../../notify/wording.ts'

export const notifier: Notifier = {
  kind: 'pagerduty',
  deliveryOf(env, { pagerduty }, notification) {
    if (pagerduty === undefined) return null
    const key = variableOf(env, pagerduty.routing_key_env)
    if (key === null) throw new Error('its routing key is missing')
    const { status, endedAt } = notification
    return toPagerDuty(pagerduty.url, key.trim(), status, escalationOf(notification), endedAt)
  },
}

/** Length of a summary, by PagerDuty's limit, less the truncation mark. */
const MAX_SUMMARY_LENGTH = 1000
/** Length of a detail, in characters. */
const MAX_DETAIL_LENGTH = 8192

/**
 * The event on an execution, which is known by the message's id: sent again, it is the same alert.
 *
 * @param key     the integration's
 * @param endedAt when the status had passed, in milliseconds since the epoch; null while it holds
 */
function toPagerDuty(
  url: string,
  key: string,
  status: EscalatedStatus,
  message: Escalation,
  endedAt: number | null,
): Delivery {
  const identity = { routing_key: key, dedup_key: message.id }
  if (endedAt !== null) return { url, body: JSON.stringify({ ...identity, event_action: 'resolve' }) }
  const { execution, datacenter, workflow, summary, at, type } = message
  const { node, node_type } = execution.target
  const event = {
    ...identity,
    event_action: 'trigger',
    client: 'Resile',
    payload: {
      summary: cut(summary, MAX_SUMMARY_LENGTH),
      source: node ?? node_type ?? datacenter,
      severity: SEVERITIES[status],
      timestamp: at,
      component: workflow,
      group: datacenter,
      class: type,
      custom_details: details(status, message),
    },
  }
  return { url, body: JSON.stringify(event) }
}

function details(status: EscalatedStatus, { execution, decision, tripped }: Escalation): Record<string, string> {
  const id = execution.id ?? execution.workflow_id
  const evidence = evidenceOf(execution)
  const commands = [...commandsFor(status, id), ...(tripped.length === 0 ? [] : [resetCommand(execution.workflow)])]
  return {
    execution: id,
    ...(decision === null ? {} : { caller: decision.caller, receipt: cut(receiptOf(decision), MAX_DETAIL_LENGTH) }),
    ...(decision?.reason ? { reason: cut(decision.reason, MAX_DETAIL_LENGTH) } : {}),
    ...(evidence === null ? {} : { evidence: cut(evidence, MAX_DETAIL_LENGTH) }),
    ...(tripped.length === 0 ? {} : { tripped: tripped.join(', ') }),
    commands: commands.join('\n'),
  }
}
