/**
 * Signed messages.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import type { Webhook } from 'standardwebhooks'
import { SIGNATURE_TOLERANCE_MS } from '../../../shared/signature-tolerance.ts'
import type { SignedMessage } from '../../access/sender.ts'

/** The three headers, as far as they can be checked without a key. */
export type MessageHeaders = (SignedMessage & { signatures: string }) | { refused: string }

/**
 * Reads the headers of a message. A header that is there twice comes as one with a comma and a space, which none of the
 * three may hold.
 *
 * @param now milliseconds since the epoch
 */
export function readHeaders(headers: Headers, now: number): MessageHeaders {
  const id = headers.get('webhook-id')
  const timestamp = headers.get('webhook-timestamp')
  const signatures = headers.get('webhook-signature')
  if (id === null) return { refused: 'there is no header webhook-id' }
  if (timestamp === null) return { refused: 'there is no header webhook-timestamp' }
  if (signatures === null) return { refused: 'there is no header webhook-signature' }
  // A full stop could shift the limits of what is signed: ID.TIMESTAMP.BODY.
  if (!/^[\x21-\x2d\x2f-\x7e]{1,255}$/.test(id)) {
    return {
      refused:
        'header webhook-id: must be given exactly once, 1 to 255 printable ASCII characters without space and "."',
    }
  }
  // Only one spelling is accepted, so that no other counts as another message.
  if (!/^[1-9]\d{0,10}$/.test(timestamp)) {
    return { refused: 'header webhook-timestamp: must be given exactly once, in whole seconds since 1970' }
  }
  if (!/^v\d+[a-z]?,[A-Za-z0-9+/]+={0,2}(?: v\d+[a-z]?,[A-Za-z0-9+/]+={0,2})*$/.test(signatures)) {
    return { refused: 'header webhook-signature: must be given exactly once, a list such as v1,BASE64 v1,BASE64' }
  }
  const seconds = Number(timestamp)
  const late = Math.floor(now / 1000) - seconds
  if (late > SIGNATURE_TOLERANCE_MS / 1000)
    return { refused: `header webhook-timestamp: is ${late} seconds in the past` }
  if (-late > SIGNATURE_TOLERANCE_MS / 1000)
    return { refused: `header webhook-timestamp: is ${-late} seconds in the future` }
  return { id, timestamp: seconds, signatures }
}

/** Whether one of a message's signatures is right for its body; compared in constant time. */
export function isSigned(
  key: Webhook,
  { id, timestamp, signatures }: SignedMessage & { signatures: string },
  body: Uint8Array,
): boolean {
  try {
    // Not even a byte order mark may be lost, or another body than the signed one would pass.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures }
    key.verify(text, headers, { jsonParse: false })
    return true
  } catch {
    return false
  }
}
