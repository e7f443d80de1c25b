/**
 * Messages to a channel of Slack, by an incoming webhook.
 *
 * @see https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 */
import type { EscalatedStatus, Escalation } from '../../../shared/wire.ts'
import type { Delivery } from '../../notify/deliver.ts'
import { escalationOf, type Notifier } from '../../notify/notifier.ts'
import { variableOf } from '../../notify/secret.ts'
import { commandsFor, cut, evidenceOf, receiptOf, resetCommand } from '../../notify/wording.ts'
import { approvalButtons, type Block, codeSection, escaped, plainSection } from './message.ts'

export const notifier: Notifier = {
  kind: 'slack',
  deliveryOf(env, { slack }, notification) {
    // A message can't be withdrawn.
    if (slack === undefined || notification.isSent) return null
    const url = variableOf(env, slack.url_env)?.trim()
    // A URL of another scheme would appear in the runtime's error message, and so in the log.
    if (url === undefined || !/^https?:\/\//i.test(url) || !URL.canParse(url)) {
      throw new Error('its URL is missing or not an http(s) URL')
    }
    return toSlack(url, notification.status, escalationOf(notification), notification.endedAt !== null)
  },
}

/** Length of a fact and of evidence, in characters: escaped, a fact must still fit into 2000. */
const MAX_FACT_LENGTH = 350
const MAX_EVIDENCE_LENGTH = 2000

/**
 * The message on an execution.
 *
 * @param url    of the incoming webhook; a secret, since anyone who knows it can post there
 * @param isOver whether the status has passed meanwhile: then nothing is to be decided any more
 */
function toSlack(url: string, status: EscalatedStatus, message: Escalation, isOver: boolean): Delivery {
  const { execution, decision, summary, tripped } = message
  const id = execution.id ?? execution.workflow_id
  const evidence = evidenceOf(execution)
  const commands = [...commandsFor(status, id), ...(tripped.length === 0 ? [] : [resetCommand(execution.workflow)])]
  const blocks: Block[] = [
    plainSection(isOver ? `${summary} (this has passed meanwhile)` : summary),
    facts(message),
    ...(decision === null ? [] : [codeSection(receiptOf(decision))]),
    ...(evidence === null ? [] : [codeSection(cut(evidence, MAX_EVIDENCE_LENGTH))]),
    codeSection(commands.join('\n')),
    ...(status === 'awaiting_approval' && !isOver ? [approvalButtons(id)] : []),
  ]
  return { url, body: JSON.stringify({ text: escaped(summary), blocks }) }
}

function facts({ workflow, datacenter, execution, decision }: Escalation): Block {
  const { target, status } = execution
  const pairs: [string, string | null | undefined][] = [
    ['Workflow', workflow],
    ['Status', status],
    ['Datacenter', datacenter],
    ['Node', target.node],
    ['Node type', target.node_type],
    ['Execution', execution.id],
    ['Triggered by', decision?.caller],
    ['Reason', decision?.reason],
  ]
  const fields = pairs.flatMap(([name, value]) =>
    value === null || value === undefined || value === ''
      ? []
      : [{ type: 'mrkdwn', text: `*${name}*\n${escaped(cut(value, MAX_FACT_LENGTH))}`, verbatim: true }],
  )
  return { type: 'section', fields }
}
