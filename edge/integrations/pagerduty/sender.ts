import { textsOf } from '../../notify/secret.ts'
import {
  NO_VALID_SIGNATURE,
  refuseUnusableSecret,
  type SignatureCheck,
  webhookSender,
  webhooksWith,
} from '../common/integration.ts'
import { isSignedByPagerDuty, readSignatures } from './signature.ts'

export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/pagerduty$/,
  async check(config, env, request) {
    const header = readSignatures(request.headers)
    if ('refused' in header) return header
    const webhooks = webhooksWith(config, 'pagerduty')
    for (const [name, webhook] of webhooks) {
      for (const secret of textsOf(env, `webhook ${name}`, webhook)) {
        if (await isSignedByPagerDuty(secret, header.signatures, request.body)) return webhookSender(name, null)
      }
    }
    for (const [name, webhook] of webhooks) {
      if (textsOf(env, `webhook ${name}`, webhook).length === 0) refuseUnusableSecret(config, name, request)
    }
    return { refused: NO_VALID_SIGNATURE }
  },
}
