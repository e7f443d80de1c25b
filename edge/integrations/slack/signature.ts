/**
 * Signatures of Slack's requests, version 0: HMAC-SHA256 of `v0:TIME:BODY` with the app's signing secret.
 *
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */

import { SIGNATURE_TOLERANCE_MS } from '../../../shared/signature-tolerance.ts'
import type { SignedMessage } from '../../access/sender.ts'
import { isHmac, joined } from '../common/hmac.ts'

/** How far in the future a request's time may be, in milliseconds; in the past it is {@link SIGNATURE_TOLERANCE_MS}. */
const MAX_AHEAD_MS = 60_000

/** The two headers, as far as they can be checked without a secret; a request's id is its signature. */
export function readSlackHeaders(headers: Headers, now: number): SignedMessage | { refused: string } {
  const timestamp = headers.get('x-slack-request-timestamp')
  const signature = headers.get('x-slack-signature')
  if (timestamp === null) return { refused: 'there is no header x-slack-request-timestamp' }
  if (signature === null) return { refused: 'there is no header x-slack-signature' }
  if (!/^[1-9]\d{0,10}$/.test(timestamp)) {
    return { refused: 'header x-slack-request-timestamp: must be given exactly once, in whole seconds since 1970' }
  }
  // Only one spelling is accepted, so that no other counts as another request.
  if (!/^v0=[0-9a-f]{64}$/.test(signature)) {
    return { refused: 'header x-slack-signature: must be given exactly once, such as v0=HEX' }
  }
  const seconds = Number(timestamp)
  const late = Math.floor(now / 1000) - seconds
  if (late > SIGNATURE_TOLERANCE_MS / 1000)
    return { refused: `header x-slack-request-timestamp: is ${late} seconds in the past` }
  if (-late > MAX_AHEAD_MS / 1000)
    return { refused: `header x-slack-request-timestamp: is ${-late} seconds in the future` }
  return { id: signature.slice('v0='.length), timestamp: seconds }
}

/** Whether a request's signature is right for its body. */
export async function isSignedBySlack(
  secret: string,
  { id, timestamp }: SignedMessage,
  body: Uint8Array,
): Promise<boolean> {
  return isHmac(secret, id, joined(`v0:${timestamp}:`, body))
}
