/** Answers to people in Slack. */
import type { Execution } from '../../../shared/wire.ts'
import type { Workflow } from '../../../shared/workflows.ts'
import type { ProblemError } from '../../http/problem.ts'
import type { Admitted } from '../../ledger/types.ts'
import { cut, placeOf, receiptOf } from '../../notify/wording.ts'
import { usageOf } from './command.ts'
import { approvalButtons, codeSection, escaped, mention, plainSection, type SlackMessage, section } from './message.ts'
import type { SlackInteraction } from './request.ts'

/** An answer to a command: for the channel, or only for the user. */
export type SlackReply = SlackMessage & { response_type: 'in_channel' | 'ephemeral' }

/** The answer to a start that was admitted. */
export function admittedReply({ decision, execution }: Admitted): SlackReply {
  const { workflow, datacenter, target, outcome, caller } = decision
  const done = outcome === 'admitted' && execution.started_at !== null ? 'was started' : SAID[outcome]
  const text = `${workflow} ${placeOf(target, datacenter)} ${done}`
  const reason = decision.reason === null ? [] : [`Reason: ${decision.reason}`]
  return {
    response_type: 'in_channel',
    text: escaped(text),
    blocks: [
      plainSection([text, ...reason, `Execution ${execution.id}`, 'Asked for by '].join('\n'), mention(caller)),
      codeSection(receiptOf(decision)),
      ...(outcome === 'awaiting_approval' && execution.id !== null ? [approvalButtons(execution.id)] : []),
    ],
  }
}

const SAID = {
  admitted: 'is admitted, and will be started',
  awaiting_approval: 'waits for approval',
  shadowed: 'was only recorded (mode = "shadow")',
  denied: 'was denied',
} as const

/** Why nothing was done. */
export function refusal({ code, message, errors, decision }: ProblemError): SlackReply {
  const places = errors?.map(({ path, message: mistake }) => `${path}: ${mistake}`) ?? []
  const text = [`Nothing was done (${code}): ${message}`, ...places].join('\n')
  const receipt = decision !== undefined && 'outcome' in decision ? [codeSection(receiptOf(decision))] : []
  const later =
    decision !== undefined && 'outcome' in decision && decision.allowed_at !== null && decision.outcome === 'denied'
      ? [plainSection(`It may be allowed from ${decision.allowed_at} on.`)]
      : []
  return {
    response_type: 'ephemeral',
    text: escaped(cut(text, 3000)),
    blocks: [plainSection(text), ...receipt, ...later],
  }
}

/** The workflows that a user may start, and how. */
export function help(command: string, workflows: readonly Workflow[]): SlackReply {
  const lines = workflows.map((workflow) => `${command} ${usageOf(workflow)}`)
  const none = 'no route rule lets you start a workflow'
  const text = cut(lines.length === 0 ? none : lines.join('\n'), 3000)
  return {
    response_type: 'ephemeral',
    text: escaped(text),
    blocks: [section(`${escaped(command)} WORKFLOW TARGET key=value… reason …`), codeSection(text)],
  }
}

/** The answer while a decision takes longer than Slack waits. */
export const UNDECIDED: SlackReply = {
  response_type: 'ephemeral',
  text: 'It is not decided yet; the answer follows.',
  blocks: [section('It is not decided yet; the answer follows.')],
}

/**
 * The message whose button was pressed, with what was decided in the place of its buttons.
 *
 * @param ours what follows the text as it is
 */
export function decidedMessage(
  { message }: SlackInteraction,
  text: string,
  ours = '',
): SlackMessage & { replace_original: true } {
  // A message has 50 blocks at most.
  const kept = (message?.blocks ?? []).filter(({ type }) => type !== 'actions').slice(0, 49)
  return { replace_original: true, text: `${escaped(text)}${ours}`, blocks: [...kept, plainSection(text, ours)] }
}

/** The decision on an execution, to be followed by the user. */
export function verdictText(
  verdict: 'approve' | 'reject',
  { workflow, datacenter, target, started_at }: Execution,
): string {
  const done = {
    approve: started_at === null ? 'was approved, and will be started,' : 'was approved and started',
    reject: 'was rejected',
  }
  return `${workflow} ${placeOf(target, datacenter)} ${done[verdict]} by `
}
