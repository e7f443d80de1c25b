import { textOf } from '../../notify/secret.ts'
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
    for (const [name, { secret_env }] of webhooks) {
      const secret = textOf(env, `webhook ${name}`, secret_env)
      if (secret !== null && (await isSignedByPagerDuty(secret, header.signatures, request.body))) {
        return webhookSender(name, null)
      }
    }
    for (const [name, { secret_env }] of webhooks) {
      if (textOf(env, `webhook ${name}`, secret_env) === null) refuseUnusableSecret(config, name, request)
    }
    return { refused: NO_VALID_SIGNATURE }
  },
}
