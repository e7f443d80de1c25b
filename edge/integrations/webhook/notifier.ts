/**
 * Messages to a webhook.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import type { Webhook } from 'standardwebhooks'
import type { Delivery } from '../../notify/deliver.ts'
import { escalationOf, type Notifier } from '../../notify/notifier.ts'
import { keyOf } from '../../notify/secret.ts'

export const notifier: Notifier = {
  kind: 'webhook',
  deliveryOf(env, { webhook }, notification, now) {
    // A message can't be withdrawn.
    if (webhook === undefined || notification.isSent) return null
    const isSigned = webhook.secret_env !== undefined || webhook.secret_file !== undefined
    const key = isSigned ? keyOf(env, `receiver ${notification.receiver}`, webhook) : null
    if (isSigned && key === null) throw new Error('its secret is missing or not base64 of at least 16 bytes')
    return toWebhook(webhook.url, key, escalationOf(notification).id, notification.document, now)
  },
}

/**
 * One attempt to deliver a message, signed when there is a key.
 *
 * @param id  of the message: the same in each attempt
 * @param now of this attempt, in milliseconds since the epoch
 */
function toWebhook(url: string, key: Webhook | null, id: string, body: string, now: number): Delivery {
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
