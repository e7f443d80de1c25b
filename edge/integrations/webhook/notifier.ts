/**
 * Messages to a webhook.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import type { Webhook } from 'standardwebhooks'
import type { Delivery } from '../../notify/deliver.ts'
import { escalationOf, type Notifier } from '../../notify/notifier.ts'
import { keysOf } from '../../notify/secret.ts'

export const notifier: Notifier = {
  kind: 'webhook',
  deliveryOf(env, { webhook }, notification, now) {
    // A message can't be withdrawn.
    if (webhook === undefined || notification.isSent) return null
    const isSigned = webhook.secret_env !== undefined || webhook.secret_file !== undefined
    const keys = isSigned ? keysOf(env, `receiver ${notification.receiver}`, webhook) : []
    if (isSigned && keys.length === 0) throw new Error('its secret is missing or not base64 of at least 16 bytes')
    return toWebhook(webhook.url, keys, escalationOf(notification).id, notification.document, now)
  },
}

/**
 * One attempt to deliver a message, signed with each key there is: its receiver may have any of them during a rotation.
 *
 * @param id  of the message: the same in each attempt
 * @param now of this attempt, in milliseconds since the epoch
 */
function toWebhook(url: string, keys: readonly Webhook[], id: string, body: string, now: number): Delivery {
  const seconds = Math.floor(now / 1000)
  const signatures = keys.map((key) => key.sign(id, new Date(seconds * 1000), body))
  return {
    url,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
    },
    body,
  }
}
