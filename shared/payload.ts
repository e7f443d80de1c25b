/**
 * Temporal payloads in their full JSON form. The shorthand of Temporal's HTTP API corrupts data (nested empty arrays
 * become null, large integers are rounded), so both directions carry `metadata` and base64 `data`.
 *
 * @see https://github.com/temporalio/api, temporal/api/common/v1/message.proto, `Payload`
 */

/** One payload: metadata and data, both base64. */
export interface Payload {
  metadata?: Record<string, string>
  data?: string
}

/** Several payloads, as arguments and results are carried. */
export interface Payloads {
  payloads?: Payload[]
}

const ENCODING = { json: toBase64('json/plain'), null: toBase64('binary/null') }

/** A JSON value as a payload of encoding `json/plain`. */
export function encodePayload(value: unknown): Payload {
  return { metadata: { encoding: ENCODING.json }, data: toBase64(JSON.stringify(value)) }
}

/** Values as workflow arguments. */
export function encodePayloads(values: readonly unknown[]): Payloads {
  return { payloads: values.map(encodePayload) }
}

/**
 * The value of a payload. One that isn't JSON (binary, encrypted, broken) can't be shown and comes back as
 * `{ encoding, bytes }`, the number of its bytes.
 */
export function decodePayload(payload: Payload): unknown {
  const encoding = payload.metadata?.encoding ?? ''
  if (encoding === ENCODING.null) return null
  const data = payload.data ?? ''
  const shown = { encoding: fromBase64(encoding), bytes: Math.floor((data.length * 3) / 4) }
  if (encoding !== ENCODING.json) return shown
  try {
    return JSON.parse(fromBase64(data))
  } catch {
    // Another SDK wrote it, and not as JSON; that must not keep anyone from seeing that the execution has ended.
    return shown
  }
}

/** The first value of several payloads, null when there is none. */
export function firstPayload(payloads: Payloads | undefined): unknown {
  const first = payloads?.payloads?.[0]
  return first === undefined ? null : decodePayload(first)
}

function toBase64(text: string): string {
  const bytes = new TextEncoder().encode(text)
  let binary = ''
  for (let start = 0; start < bytes.length; start += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000))
  }
  return btoa(binary)
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
}
