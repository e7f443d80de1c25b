/**
 * Signatures of PagerDuty's webhooks, version 3: HMAC-SHA256 of the body with the subscription's secret. No time is
 * signed with it.
 *
 * @see https://developer.pagerduty.com/docs/verifying-webhook-signatures
 * @see https://github.com/PagerDuty/go-pagerduty/blob/main/webhookv3/webhookv3.go, `VerifySignature`
 */
import { isHmac } from '../common/hmac.ts'

/** Signatures of one message: one per secret while secrets are rotated. */
const MAX_SIGNATURES = 10

/** The signatures in the header, as far as they can be checked without a secret: the HMACs in hex. */
export function readSignatures(headers: Headers): { signatures: string[] } | { refused: string } {
  const header = headers.get('x-pagerduty-signature')
  if (header === null) return { refused: 'there is no header x-pagerduty-signature' }
  // Other versions than v1 are for others; there may be spaces, as where a proxy has joined two lines.
  const parts = header.split(',').map((part) => part.trim())
  if (!parts.every((part) => /^(?:v1=[0-9a-f]+|v(?!1=)\w+=[^\s,]+)$/i.test(part))) {
    return { refused: 'header x-pagerduty-signature: must be given exactly once, a list such as v1=HEX,v1=HEX' }
  }
  const signatures = parts.flatMap((one) => /^v1=([0-9a-f]{64})$/i.exec(one)?.[1] ?? [])
  if (signatures.length === 0) return { refused: 'header x-pagerduty-signature: has no signature of version v1' }
  if (signatures.length > MAX_SIGNATURES)
    return { refused: `header x-pagerduty-signature: has more than ${MAX_SIGNATURES} signatures` }
  return { signatures }
}

/** Whether one of a message's signatures is right for its body. */
export async function isSignedByPagerDuty(
  secret: string,
  signatures: readonly string[],
  body: Uint8Array,
): Promise<boolean> {
  const right = await Promise.all(signatures.map((signature) => isHmac(secret, signature, body)))
  return right.includes(true)
}
