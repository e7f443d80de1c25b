/** Where the secrets come from that sign messages: of webhooks what comes in, of receivers what goes out. */
import { Webhook } from 'standardwebhooks'
import type { SecretPlace } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'
import type { Env } from '../env.ts'

/** Fewest bytes of a secret. */
const SHORTEST = 16

/** What was made of each secret last, so that it is decoded, and complained of, once. */
const READ_LAST = new Map<string, { secret: string; key: Webhook | null }>()

/**
 * The key of a webhook or receiver: base64 with or without `whsec_`, in the variable that its configuration names. A
 * secret in a file never gets here: whoever runs the coordinator makes it a variable.
 *
 * @returns null when there is none that could be used
 */
export function keyOf(
  env: Env,
  kind: 'webhook' | 'receiver',
  name: string,
  { secret_env }: SecretPlace,
): Webhook | null {
  const secret: unknown = secret_env === undefined ? undefined : Reflect.get(env, secret_env)
  if (typeof secret !== 'string' || secret === '') return null
  const owner = `${kind} ${name}`
  const last = READ_LAST.get(owner)
  if (last?.secret === secret) return last.key
  const key = toKey(secret)
  if (key === null) {
    log('error', `${kind}_secret_invalid`, { [kind]: name, detail: `not base64 of at least ${SHORTEST} bytes` })
  }
  READ_LAST.set(owner, { secret, key })
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
