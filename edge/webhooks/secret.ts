/** Where the secrets of webhooks come from. */
import { Webhook } from 'standardwebhooks'
import type { WebhookConfig } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
import type { Env } from '../env.ts'

/** Fewest bytes of a secret. */
const SHORTEST = 16

/** What was made of each webhook's secret last, so that it is decoded, and complained of, once. */
const READ_LAST = new Map<string, { secret: string; key: Webhook | null }>()

/**
 * The key of a webhook: base64 with or without `whsec_`, in the variable that its configuration names. A secret in a
 * file never gets here: whoever runs the coordinator makes it a variable.
 *
 * @returns null when there is none that could be used
 */
export function keyOf(env: Env, name: string, { secret_env }: WebhookConfig): Webhook | null {
  const secret: unknown = secret_env === undefined ? undefined : Reflect.get(env, secret_env)
  if (typeof secret !== 'string' || secret === '') return null
  const last = READ_LAST.get(name)
  if (last?.secret === secret) return last.key
  const key = toKey(secret)
  if (key === null) {
    log('error', 'webhook_secret_invalid', { webhook: name, detail: `not base64 of at least ${SHORTEST} bytes` })
  }
  READ_LAST.set(name, { secret, key })
  return key
}

function toKey(secret: string): Webhook | null {
  try {
    const base64 = secret.trim().replace(/^whsec_/, '')
    return atob(base64).length < SHORTEST ? null : new Webhook(base64)
  } catch {
    return null
  }
}
