/** Where secrets come from: those that sign what comes in, and those of receivers. */
import { Webhook } from 'standardwebhooks'
import type { SecretPlace } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'

/** Fewest bytes of a secret. */
const MIN_SECRET_BYTES = 16

/** The secret and key of each owner, so that a key is made, and an unusable secret logged, once. */
const KEYS = new Map<string, { secret: string; key: unknown }>()

/** Whose a secret is, as the log names it. */
type Owner = `${'webhook' | 'receiver'} ${string}` | 'slack'

/**
 * The key of a webhook or receiver: base64 with or without `whsec_`, in the variable that its configuration names. A
 * secret in a file is never read here: the coordinator's process makes it a variable.
 *
 * @returns null when there is none that could be used
 */
export function keyOf(env: Env, owner: Owner, { secret_env }: SecretPlace): Webhook | null {
  return made(env, owner, secret_env, toKey, `not base64 of at least ${MIN_SECRET_BYTES} bytes`)
}

/**
 * A secret that is used as the text that it is.
 *
 * @param variable that holds it
 * @returns null when there is none that could be used
 */
export function textOf(env: Env, owner: Owner, variable: string | undefined): string | null {
  return made(env, owner, variable, toText, `shorter than ${MIN_SECRET_BYTES} bytes`)
}

/** The text in a variable; null when there is none. */
export function variableOf(env: Env, variable: string | undefined): string | null {
  const value: unknown = variable === undefined ? undefined : Reflect.get(env, variable)
  return typeof value === 'string' && value !== '' ? value : null
}

function made<Key>(
  env: Env,
  owner: Owner,
  variable: string | undefined,
  make: (secret: string) => Key | null,
  complaint: string,
): Key | null {
  const secret = variableOf(env, variable)
  if (secret === null) return null
  const last = KEYS.get(owner)
  // Each owner has one kind of secret.
  if (last?.secret === secret) return last.key as Key | null
  const key = make(secret)
  if (key === null) log('error', 'secret_invalid', { owner, detail: complaint })
  KEYS.set(owner, { secret, key })
  return key
}

function toText(secret: string): string | null {
  const text = secret.trim()
  return new TextEncoder().encode(text).byteLength < MIN_SECRET_BYTES ? null : text
}

function toKey(secret: string): Webhook | null {
  try {
    const base64 = secret.trim().replace(/^whsec_/, '')
    return atob(base64).length < MIN_SECRET_BYTES ? null : new Webhook(base64)
  } catch {
    return null
  }
}
