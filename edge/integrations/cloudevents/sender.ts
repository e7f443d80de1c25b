import { keysOf } from '../../notify/secret.ts'
import {
  NO_VALID_SIGNATURE,
  refuseUnusableSecret,
  type SignatureCheck,
  webhookSender,
  webhooksWith,
} from '../common/integration.ts'
import { isSigned, readHeaders } from '../webhook/signature.ts'

const SIGNATURE_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature']

/** An event needs no signature where the connection authenticates its sender; but one that is there must be valid. */
export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/cloudevents$/,
  check(config, env, request) {
    if (!SIGNATURE_HEADERS.some((header) => request.headers.has(header))) return null
    const headers = readHeaders(request.headers, Date.now())
    if ('refused' in headers) return headers
    const webhooks = webhooksWith(config, 'cloudevents')
    for (const [name, webhook] of webhooks) {
      const keys = keysOf(env, `webhook ${name}`, webhook)
      if (keys.some((key) => isSigned(key, headers, request.body))) return webhookSender(name, headers)
    }
    for (const [name, webhook] of webhooks) {
      if (keysOf(env, `webhook ${name}`, webhook).length === 0) refuseUnusableSecret(config, name, request)
    }
    return { refused: NO_VALID_SIGNATURE }
  },
}
