/** Requests as Slack sends them, signed with the secret of {@link OPEN}. */
import type { Config } from '../../shared/config.ts'
import { configured, post } from './configured.ts'
import type { Answer } from './coordinator.ts'
import { signedBySlack } from './webhook.ts'

export const PATH = '/v1/triggers/slack'
export const SIGNING = '8f742231b10e8888abcd99yyyzzz85a5'
const BINDINGS = { SLACK: SIGNING, SHORT: 'too short' }
export const SLACK = { slack: { signing_secret_env: 'SLACK', response_prefix: 'http://slack.receiver.test/' } }
const OPEN = configured({ coordinator: SLACK })
export const ME = 'slack:T1DC2JH3J/U2CERLKJA'

/** What a request differs in from a right one. */
export interface Sending {
  config?: Config
  secret?: string
  timestamp?: number
  headers?: Record<string, string> | [string, string][]
  bindings?: object
  responseUrl?: string
}

export async function sendForm(form: Record<string, string>, options: Sending = {}): Promise<Answer> {
  const body = new URLSearchParams(form).toString()
  const headers = options.headers ?? (await signedBySlack(body, options.secret ?? SIGNING, options.timestamp))
  return post(options.config ?? OPEN, PATH, body, headers, { bindings: options.bindings ?? BINDINGS })
}

/** @see https://docs.slack.dev/interactivity/implementing-slash-commands#app_command_handling */
export function command(text: string, options: Sending = {}, over: Record<string, string> = {}): Promise<Answer> {
  const form = {
    token: 'xyzz0WbapA4vBCDEFasx0q6G',
    team_id: 'T1DC2JH3J',
    team_domain: 'testteamnow',
    channel_id: 'G8PSS9T3V',
    channel_name: 'foobar',
    user_id: 'U2CERLKJA',
    user_name: 'roadrunner',
    command: '/remediate',
    text,
    response_url:
      options.responseUrl ?? 'http://slack.receiver.test/commands/T1DC2JH3J/397700885554/96rGlfmibIGlgcZRskXaIFfN',
    trigger_id: crypto.randomUUID(),
    ...over,
  }
  return sendForm(form, options)
}

/** @see https://docs.slack.dev/reference/interaction-payloads/block_actions-payload */
export function press(action: string, value: string, options: Sending = {}, over: object = {}): Promise<Answer> {
  const payload = {
    type: 'block_actions',
    user: { id: 'U2CERLKJA', username: 'roadrunner', name: 'roadrunner', team_id: 'T1DC2JH3J' },
    api_app_id: 'A00APP01',
    container: { type: 'message', message_ts: '1767326126.896109', channel_id: 'G8PSS9T3V', is_ephemeral: false },
    trigger_id: crypto.randomUUID(),
    team: { id: 'T1DC2JH3J', domain: 'testteamnow' },
    message: {
      type: 'message',
      text: 'asked on web-1 waits for approval',
      blocks: [
        { type: 'section', block_id: 'a', text: { type: 'mrkdwn', text: 'asked on web-1', verbatim: true } },
        { type: 'actions', block_id: 'b', elements: [] },
      ],
    },
    response_url: options.responseUrl ?? 'http://slack.receiver.test/actions/T1DC2JH3J/1/x',
    actions: [{ type: 'button', block_id: 'b', action_id: action, value, action_ts: '1767326130.289415' }],
    ...over,
  }
  return sendForm({ payload: JSON.stringify(payload) }, options)
}

/** The text of an answer that Slack shows. */
export const textOf = (answer: Answer): string => String(answer.body.text)
