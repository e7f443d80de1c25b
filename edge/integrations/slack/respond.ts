/** Answers that come after the request: to the URL that Slack has sent with it. */
import { log } from '../../../shared/log.ts'
import { deliver, receiversPort } from '../../notify/deliver.ts'

/** How often it is tried, and how long it waits between, in milliseconds. */
const MAX_ATTEMPTS = 2
const RETRY_INTERVAL_MS = 1000

/** The URL to answer to, if it is one of Slack's. @param prefix that it must be below */
export function responseUrl(prefix: string, given: string | undefined): string | null {
  if (given === undefined || !URL.canParse(given)) return null
  const [url, base] = [new URL(given), new URL(prefix)]
  const isBelow = url.origin === base.origin && url.pathname.startsWith(base.pathname)
  return isBelow && url.username === '' && url.password === '' ? url.href : null
}

/**
 * Sends an answer. One that can't be delivered is only logged: the decision is not affected.
 *
 * @see https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
 */
export async function respond(env: Env, url: string, message: object): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const delivery = { url, body: JSON.stringify(message) }
    const outcome = await deliver(receiversPort(env), delivery, () => Date.now())
    if (outcome.kind === 'acknowledged') return
    // The URL lets anyone write there who knows it.
    log('warn', 'slack_response_failed', { attempt, detail: outcome.detail })
    if (attempt < MAX_ATTEMPTS) await new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL_MS))
  }
}
