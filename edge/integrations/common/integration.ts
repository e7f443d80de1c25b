/** What an integration with another system consists of; `index.ts` lists them all. */
import type { Config, WebhookConfig } from '../../../shared/config.ts'
import { findPass } from '../../../shared/route-rules.ts'
import type { SignatureResult, SignedMessage, SignedRequest, VerifiedSender } from '../../access/sender.ts'
import { ProblemError } from '../../http/problem.ts'
import type { Notifier } from '../../notify/notifier.ts'
import type { Route } from '../../route.ts'

/** An integration with another system: what it sends to the coordinator, and what the coordinator sends to it. */
export interface Integration {
  routes: readonly Route[]
  signature?: SignatureCheck
  notifier?: Notifier
}

/** The check of the signatures that an integration's senders put on their messages. */
export interface SignatureCheck {
  /** The paths, decoded, whose POST requests it checks. */
  path: RegExp
  /**
   * Checks a request's signature.
   *
   * @param match of the request's path with {@link path}
   * @returns null when the request needs no signature and has none
   * @throws ProblemError `starting` when a secret is missing or can't be used
   */
  check(
    config: Config,
    env: Env,
    request: SignedRequest,
    match: RegExpExecArray,
  ): SignatureResult | null | Promise<SignatureResult | null>
}

/** Why a signature is refused that no secret has made. */
export const NO_VALID_SIGNATURE = 'no signature of the message is valid'

/** The configured webhooks with a format, by name. */
export function webhooksWith({ coordinator }: Config, format: WebhookConfig['format']): [string, WebhookConfig][] {
  return Object.entries(coordinator.webhook).filter(([, webhook]) => webhook.format === format)
}

/**
 * The webhook of a format with one of whose secrets a message is signed; its endpoint is that of the format, so that any may
 * be its sender.
 *
 * @param secretsOf the secrets of a webhook; none when they can't be used
 * @returns its name; null when no signature is valid
 * @throws ProblemError `starting` when none is valid and the secret of one can't be used
 */
export async function signerAmong<Secret>(
  config: Config,
  format: WebhookConfig['format'],
  request: SignedRequest,
  secretsOf: (name: string, webhook: WebhookConfig) => Secret[],
  isSigned: (secret: Secret) => boolean | Promise<boolean>,
): Promise<string | null> {
  const unusable: string[] = []
  for (const [name, webhook] of webhooksWith(config, format)) {
    const secrets = secretsOf(name, webhook)
    if (secrets.length === 0) unusable.push(name)
    for (const secret of secrets) if (await isSigned(secret)) return name
  }
  for (const name of unusable) refuseUnusableSecret(config, name, request)
  return null
}

/** The sender of a message that is signed with a webhook's secret. */
export function webhookSender(name: string, message: SignedMessage | null): VerifiedSender {
  const signed = message === null ? null : { id: message.id, timestamp: message.timestamp }
  return { identity: { caller: `webhook:${name}`, reason: null }, message: signed }
}

/**
 * Reports that a webhook's secret can't be used, but only where that webhook would be authorised: to anyone else it must
 * look as if it did not exist.
 *
 * @throws ProblemError `starting`
 */
export function refuseUnusableSecret(config: Config, name: string, { method, path }: SignedRequest): void {
  if (findPass(config, `webhook:${name}`, method, path) === null) return
  throw new ProblemError('starting', `the secret of webhook "${name}" is missing or does not fit its format`)
}
