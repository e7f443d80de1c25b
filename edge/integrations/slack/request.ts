/**
 * What Slack sends: a form, which a slash command fills itself, and an interaction with JSON in its one field.
 *
 * @see https://docs.slack.dev/interactivity/implementing-slash-commands
 * @see https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
 */
import { z } from 'zod'
import { slackCaller } from '../../../shared/slack-id.ts'

const commandSchema = z.looseObject({
  team_id: z.string(),
  user_id: z.string(),
  command: z.string(),
  text: z.string().default(''),
  response_url: z.string().optional(),
})

const interactionSchema = z.looseObject({
  type: z.string(),
  user: z.looseObject({ id: z.string(), team_id: z.string().optional() }),
  /** Null where an app is installed for a whole organisation. */
  team: z.looseObject({ id: z.string() }).nullish(),
  response_url: z.string().optional(),
  actions: z.array(z.looseObject({ action_id: z.string(), value: z.string().optional() })).default([]),
  message: z
    .looseObject({ text: z.string().optional(), blocks: z.array(z.looseObject({ type: z.string() })).optional() })
    .optional(),
})

/** A slash command. */
export type SlackCommand = z.output<typeof commandSchema>
/** A pressed button. */
export type SlackInteraction = z.output<typeof interactionSchema>

/** A request of Slack's, and who has made it do so. */
export type SlackRequest = { caller: string } & ({ command: SlackCommand } | { interaction: SlackInteraction })

/** Reads the body of a request; null for one that names no user. */
export function readSlackRequest(body: Uint8Array): SlackRequest | null {
  const form = new URLSearchParams(new TextDecoder().decode(body))
  const payload = form.get('payload')
  if (payload === null) {
    const command = commandSchema.safeParse(Object.fromEntries(form)).data
    const caller = command === undefined ? null : slackCaller(command.team_id, command.user_id)
    return command === undefined || caller === null ? null : { caller, command }
  }
  const interaction = interactionSchema.safeParse(parse(payload)).data
  if (interaction === undefined) return null
  const { user, team } = interaction
  // In a channel that is shared with others it is the user's own workspace that says who he is.
  const caller = slackCaller(user.team_id ?? team?.id ?? '', user.id)
  return caller === null ? null : { caller, interaction }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
