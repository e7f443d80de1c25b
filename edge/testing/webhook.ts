/** Senders of signed messages. */
import { Webhook } from 'standardwebhooks'

/** A secret as an operator is given it: 24 bytes in base64. */
export const SECRET = `whsec_${btoa('a secret of 24 bytes....')}`

/** What a message is to be like. */
export interface MessageOptions {
  id?: string
  /** In seconds since the epoch. */
  timestamp?: number
  secret?: string
}

/** The headers of a message with a right signature. */
export function signed(
  body: string,
  {
    id = `msg_${crypto.randomUUID()}`,
    timestamp = Math.floor(Date.now() / 1000),
    secret = SECRET,
  }: MessageOptions = {},
): Record<string, string> {
  const signature = new Webhook(secret).sign(id, new Date(timestamp * 1000), body)
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signature,
  }
}

/** HMAC-SHA256 of what parts make together, in hex. */
async function hmac(secret: string, ...parts: (string | Uint8Array)[]): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const bytesOf = (part: string | Uint8Array): Uint8Array =>
    typeof part === 'string' ? new TextEncoder().encode(part) : part
  const key = await crypto.subtle.importKey('raw', bytesOf(secret), algorithm, false, ['sign'])
  const content = new Uint8Array(parts.flatMap((part) => [...bytesOf(part)]))
  const mac = await crypto.subtle.sign(algorithm, key, content)
  return Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The headers of a message that PagerDuty has signed, with each of its secrets. */
export async function signedByPagerDuty(
  body: string | Uint8Array,
  ...secrets: string[]
): Promise<Record<string, string>> {
  const signatures = await Promise.all(secrets.map(async (secret) => `v1=${await hmac(secret, body)}`))
  return { 'content-type': 'application/json', 'x-pagerduty-signature': signatures.join(',') }
}

/**
 * The headers of a request that Slack has signed.
 *
 * @param timestamp in seconds since the epoch
 */
export async function signedBySlack(
  body: string | Uint8Array,
  secret: string,
  timestamp = Math.floor(Date.now() / 1000),
): Promise<Record<string, string>> {
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'x-slack-request-timestamp': String(timestamp),
    'x-slack-signature': `v0=${await hmac(secret, `v0:${timestamp}:`, body)}`,
  }
}
