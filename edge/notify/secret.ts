/** Where secrets come from: those that sign what comes in, and those of receivers. */
import { Webhook } from 'standardwebhooks'
import type { RotatedSecretPlace } from '../../shared/config.ts'
import { log } from '../../shared/log.ts'

/** Fewest bytes of a secret. */
const MIN_SECRET_BYTES = 16

/** The secret and key in each variable of an owner, so that a key is made, and an unusable secret logged, once. */
const KEYS = new Map<string, { secret: string; key: unknown }>()

/** Whose a secret is, as the log names it. */
type Owner = `${'webhook' | 'receiver'} ${string}` | 'slack'

/**
 * The keys of a webhook or receiver: base64 with or without `whsec_`, in the variables that its configuration names. A
 * secret in a file is never read here: the coordinator's process makes it a variable.
 *
 * @returns the present key and, during a rotation, the previous one; none when the present one can't be used
 */
export function keysOf(env: Env, owner: Owner, place: RotatedSecretPlace): Webhook[] {
  return rotated(env, owner, place, toKey, `not base64 of at least ${MIN_SECRET_BYTES} bytes`)
}

/** Secrets that are used as the text that they are; as {@link keysOf}. */
export function textsOf(env: Env, owner: Owner, place: RotatedSecretPlace): string[] {
  return rotated(env, owner, place, toText, `shorter than ${MIN_SECRET_BYTES} bytes`)
}

/** The text in a variable; null when there is none. */
export function variableOf(env: Env, variable: string | undefined): string | null {
  const value: unknown = variable === undefined ? undefined : Reflect.get(env, variable)
  return typeof value === 'string' && value !== '' ? value : null
}

function rotated<Key>(
  env: Env,
  owner: Owner,
  { secret_env, previous_secret_env }: RotatedSecretPlace,
  make: (secret: string) => Key | null,
  complaint: string,
): Key[] {
  const present = made(env, owner, secret_env, make, complaint)
  if (present === null) return []
  const previous = made(env, owner, previous_secret_env, make, complaint)
  return previous === null ? [present] : [present, previous]
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
  const place = `${owner} ${variable}`
  const last = KEYS.get(place)
  // Each owner has one kind of secret.
  if (last?.secret === secret) return last.key as Key | null
  const key = make(secret)
  if (key === null) log('error', 'secret_invalid', { owner, variable, detail: complaint })
  KEYS.set(place, { secret, key })
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
