/**
 * Messages to a webhook.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import type { Webhook } from 'standardwebhooks'
import type { Delivery } from '../../notify/deliver.ts'

/**
 * One attempt to deliver a message, signed when there is a key.
 *
 * @param id  of the message: the same in each attempt
 * @param now of this attempt, in milliseconds since the epoch
 */
export function toWebhook(url: string, key: Webhook | null, id: string, body: string, now: number): Delivery {
  const seconds = Math.floor(now / 1000)
  return {
    url,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      ...(key === null ? {} : { 'webhook-signature': key.sign(id, new Date(seconds * 1000), body) }),
    },
    body,
  }
}
