/** Who sends a webhook's message. */
import { Webhook } from 'standardwebhooks'
import type { Config } from '../../shared/config.ts'
import { findPass } from '../../shared/route-rules.ts'
import type { Identity } from '../access/identify.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../http/problem.ts'
import { keyOf } from './secret.ts'
import { isSigned, readHeaders, type SignedMessage } from './signature.ts'

/** The sender of a request to a webhook's door: itself with its message, or whoever it is otherwise and why not. */
export type Sender = { identity: Identity; message: SignedMessage } | { identity: Identity; refused: string }

/** Stands in for webhooks that are not there, so that it takes as long to say no; what it signs is refused too. */
const NOBODY = new Webhook(new Uint8Array(32), { format: 'raw' })

/**
 * Identifies the sender of a message: `webhook:<name>` if it is signed with that webhook's secret. Whether there is such
 * a webhook can't be told from the answer by anyone who doesn't pass otherwise.
 *
 * @param otherwise who the caller is without a signature
 * @returns null for a request to any other path
 * @throws ProblemError `starting` when the webhook's secret is missing or can't be used
 */
export function identifySender(
  config: Config,
  env: Env,
  otherwise: Identity,
  request: { method: string; path: string; headers: Headers; body: Uint8Array },
): Sender | null {
  const name = webhookOf(request)
  if (name === null) return null
  const refuse = (refused: string): Sender => ({ identity: { ...otherwise, reason: refused }, refused })
  const headers = readHeaders(request.headers, Date.now())
  if ('refused' in headers) return refuse(headers.refused)
  const webhook = Object.hasOwn(config.coordinator.webhook, name) ? config.coordinator.webhook[name] : undefined
  const key = webhook === undefined ? null : keyOf(env, 'webhook', name, webhook)
  const caller = `webhook:${name}`
  if (webhook !== undefined && key === null && findPass(config, caller, request.method, request.path) !== null) {
    throw new ProblemError('starting', `the secret of webhook "${name}" is missing, or not base64 of at least 16 bytes`)
  }
  const signed = isSigned(key ?? NOBODY, headers, request.body)
  if (!signed || key === null) return refuse('no signature of the message is right')
  return { identity: { caller, reason: null }, message: { id: headers.id, timestamp: headers.timestamp } }
}

function webhookOf({ method, path }: { method: string; path: string }): string | null {
  return method === 'POST' ? (/^\/v1\/triggers\/webhook\/([^/]+)$/.exec(path)?.[1] ?? null) : null
}
