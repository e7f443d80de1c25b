/** Senders of signed messages. */
import { Webhook } from 'standardwebhooks'

/** A secret as an operator is given it: 24 bytes in base64. */
export const SECRET = `whsec_${btoa('a secret of 24 bytes....')}`

/** What a message is to be like. */
export interface MessageWish {
  id?: string
  /** In seconds since the epoch. */
  timestamp?: number
  secret?: string
}

/** The headers of a message with a right signature. */
export function signed(
  body: string,
  { id = `msg_${crypto.randomUUID()}`, timestamp = Math.floor(Date.now() / 1000), secret = SECRET }: MessageWish = {},
): Record<string, string> {
  const signature = new Webhook(secret).sign(id, new Date(timestamp * 1000), body)
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signature,
  }
}
