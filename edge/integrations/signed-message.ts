/** What the doors for signed messages have in common. */
import type { Config, WebhookConfig } from '../../shared/config.ts'
import type { AppContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import { firstLedger, orUnavailable } from '../ledgers.ts'
import type { SignedMessage } from './webhook/signature.ts'

/**
 * The message of a request whose sender was identified by its signature; null where that holds no time.
 *
 * @throws ProblemError `unauthenticated` when it was not
 */
export function signedMessage({ var: { sender } }: AppContext): SignedMessage | null {
  if (sender !== undefined && 'message' in sender) return sender.message
  throw new ProblemError('unauthenticated', `the message can't be trusted: ${sender?.refused ?? 'it is not signed'}`)
}

/** The webhook that has signed a request's message; null when none has. */
export function webhookOf({ var: { caller, sender } }: AppContext, config: Config): WebhookConfig | null {
  const name = /^webhook:(.+)$/.exec(caller)?.[1]
  if (name === undefined || sender === undefined || 'refused' in sender) return null
  return Object.hasOwn(config.coordinator.webhook, name) ? (config.coordinator.webhook[name] ?? null) : null
}

/**
 * Remembers a message, before anything is started by it: while it can't be told whether it was seen before, it does
 * nothing.
 *
 * @param sender who signed it; what he signs is unique among his own alone
 * @throws ProblemError `replayed`
 */
export async function refuseReplay(
  { env }: AppContext,
  config: Config,
  sender: string,
  { id, timestamp }: SignedMessage,
): Promise<void> {
  const known = await orUnavailable(async () => firstLedger(env, config).remember(sender, id, timestamp))
  if (known === 'replayed') {
    throw new ProblemError('replayed', 'this very message was received before; a new attempt has a new time')
  }
  if (known === 'full') throw new ProblemError('ledger_unavailable', 'too many messages came in the last minutes')
}
