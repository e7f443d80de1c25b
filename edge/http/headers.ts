/** Request headers that change what a request means. */
import { ProblemError } from './problem.ts'

/** Default and most time that an answer waits for Temporal's confirmation, in seconds. */
const WAIT = { default: 2, max: 30 }

/**
 * How long the caller wants the answer to wait, in milliseconds: `Prefer: wait=N` (RFC 7240), N whole seconds.
 *
 * @throws ProblemError `bad_request` when the preference is there and not a number
 */
export function preferredWait(headers: Headers): number {
  const preferences = headers.get('prefer')?.split(/[,;]/) ?? []
  for (const preference of preferences) {
    const [name = '', value = ''] = preference.split('=').map((part) => part.trim())
    if (name.toLowerCase() !== 'wait') continue
    const seconds = value.replace(/^"(.*)"$/, '$1')
    if (!/^\d+$/.test(seconds)) throw badHeader('Prefer', 'wait must be a whole number of seconds')
    return Math.min(Number(seconds), WAIT.max) * 1000
  }
  return WAIT.default * 1000
}

/**
 * The caller's `Idempotency-Key`, null when there is none.
 *
 * @throws ProblemError `bad_request` when it is empty, over 255 characters or not printable
 */
export function idempotencyKey(headers: Headers): string | null {
  const key = headers.get('idempotency-key')
  if (key === null) return null
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw badHeader('Idempotency-Key', 'must be 1 to 255 printable ASCII characters')
  }
  return key
}

/** The caller's `X-Request-Id` when it can be echoed safely, else a new one. */
export function requestId(headers: Headers): string {
  const given = headers.get('x-request-id')
  return given !== null && /^[\x21-\x7e]{1,200}$/.test(given) ? given : crypto.randomUUID()
}

/** A valid `traceparent` (W3C Trace Context, level 1), null otherwise. */
export function traceparent(headers: Headers): string | null {
  const value = headers.get('traceparent')
  const valid = value !== null && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(value)
  return valid ? value : null
}

function badHeader(name: string, message: string): ProblemError {
  return new ProblemError('bad_request', `header ${name}: ${message}`, {
    errors: [{ path: `/${name}`, message: `header: ${message}` }],
  })
}
