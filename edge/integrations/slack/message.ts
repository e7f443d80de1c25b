/**
 * Messages in Slack. What comes from elsewhere is escaped, so that it can neither call people nor show a link as
 * something else.
 *
 * @see https://docs.slack.dev/messaging/formatting-message-text#escaping
 * @see https://docs.slack.dev/reference/block-kit/blocks
 */
import { cut } from '../../notify/wording.ts'

/** One block of a message, as Slack has it. */
export type Block = Record<string, unknown>

/** A message; `text` is for notifications, and for those who see no blocks. */
export interface SlackMessage {
  text: string
  blocks: Block[]
}

/** The actions of buttons. */
export const ACTIONS = { approve: 'resile_approve', reject: 'resile_reject' } as const

/** Characters of the text of a section, less a little for our own markup. */
const MAX_SECTION_LENGTH = 2900

/** Escapes what Slack would read as markup: mentions, links, special commands. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** A text without markup, followed by a little markup of our own. */
export function section(markdown: string): Block {
  return { type: 'section', text: { type: 'mrkdwn', text: markdown, verbatim: true } }
}

/**
 * A text that comes from elsewhere.
 *
 * @param ours what follows it as it is
 */
export function plainSection(text: string, ours = ''): Block {
  return section(`${escapedWithin(text, MAX_SECTION_LENGTH - ours.length)}${ours}`)
}

/** A caller as Slack shows him: by his name, where he is one of its users. */
export function mention(caller: string): string {
  const user = /^slack:[A-Z0-9]+\/([A-Z0-9]+)$/.exec(caller)?.[1]
  return user === undefined ? escaped(caller) : `<@${user}>`
}

/** A text from elsewhere in a type of fixed width. */
export function codeSection(text: string): Block {
  // Its own fences would end the block, and let the rest be markup.
  return section(`\`\`\`${escapedWithin(text.replaceAll('```', "'''"), MAX_SECTION_LENGTH)}\`\`\``)
}

/** The buttons of an execution that waits for approval. */
export function approvalButtons(execution: string): Block {
  const button = (action: keyof typeof ACTIONS, text: string, style: 'primary' | 'danger'): Block => ({
    type: 'button',
    action_id: ACTIONS[action],
    text: { type: 'plain_text', text },
    style,
    value: execution,
  })
  return { type: 'actions', elements: [button('approve', 'Approve', 'primary'), button('reject', 'Reject', 'danger')] }
}

/** Escaped, and no longer than that: a character that is escaped counts as what it becomes. */
function escapedWithin(text: string, most: number): string {
  let keep = most
  while (escaped(cut(text, keep)).length > most) keep = Math.floor(keep * 0.8)
  return escaped(cut(text, keep))
}
