import { textsOf } from '../../notify/secret.ts'
import { NO_VALID_SIGNATURE, type SignatureCheck, signerAmong, webhookSender } from '../common/integration.ts'
import { isSignedByPagerDuty, readSignatures } from './signature.ts'

export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/pagerduty$/,
  async check(config, env, request) {
    const header = readSignatures(request.headers)
    if ('refused' in header) return header
    const signer = await signerAmong(
      config,
      'pagerduty',
      request,
      (name, webhook) => textsOf(env, `webhook ${name}`, webhook),
      (secret) => isSignedByPagerDuty(secret, header.signatures, request.body),
    )
    return signer === null ? { refused: NO_VALID_SIGNATURE } : webhookSender(signer, null)
  },
}
