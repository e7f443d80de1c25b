/** What endpoints for signed messages share. */
import type { WebhookConfig } from '../../../shared/config.ts'
import type { SignedMessage } from '../../access/sender.ts'
import type { AppContext } from '../../context.ts'
import { ProblemError } from '../../http/problem.ts'
import { orUnavailable } from '../../ledgers.ts'

/**
 * The message of a request whose sender was identified by its signature; null where the signature scheme has no timestamp.
 *
 * @throws ProblemError `unauthenticated` when it was not
 */
export function signedMessage({ var: { sender } }: AppContext): SignedMessage | null {
  if (sender !== undefined && 'message' in sender) return sender.message
  throw new ProblemError(
    'unauthenticated',
    `the message is not authenticated: ${sender?.refused ?? 'it is not signed'}`,
  )
}

/** The webhook whose secret has signed a request's message; null when none has. */
export function webhookOf({ var: { caller, sender, config } }: AppContext): WebhookConfig | null {
  const name = /^webhook:(.+)$/.exec(caller)?.[1]
  if (name === undefined || sender === undefined || 'refused' in sender) return null
  return Object.hasOwn(config.coordinator.webhook, name) ? (config.coordinator.webhook[name] ?? null) : null
}

/**
 * Remembers a message before it starts anything, so that a replay is refused. While it can't be told whether the message
 * was received before, it starts nothing.
 *
 * @param sender who signed it; message ids are unique per sender
 * @throws ProblemError `replayed`
 */
export async function refuseReplay(
  { var: { ledgers } }: AppContext,
  sender: string,
  { id, timestamp }: SignedMessage,
): Promise<void> {
  const known = await orUnavailable(async () => ledgers.first().remember(sender, id, timestamp))
  if (known === 'replayed') {
    throw new ProblemError('replayed', 'this message was received before; a new attempt has a new timestamp')
  }
  if (known === 'full')
    throw new ProblemError('ledger_unavailable', 'too many messages were received in the last minutes')
}
