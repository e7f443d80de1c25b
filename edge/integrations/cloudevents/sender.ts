import { keysOf } from '../../notify/secret.ts'
import { NO_VALID_SIGNATURE, type SignatureCheck, signerAmong, webhookSender } from '../common/integration.ts'
import { isSigned, readHeaders } from '../webhook/signature.ts'

const SIGNATURE_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature']

/** An event needs no signature where the connection authenticates its sender; but one that is there must be valid. */
export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/cloudevents$/,
  async check(config, env, request) {
    if (!SIGNATURE_HEADERS.some((header) => request.headers.has(header))) return null
    const headers = readHeaders(request.headers, Date.now())
    if ('refused' in headers) return headers
    const signer = await signerAmong(
      config,
      'cloudevents',
      request,
      (name, webhook) => keysOf(env, `webhook ${name}`, webhook),
      (key) => isSigned(key, headers, request.body),
    )
    return signer === null ? { refused: NO_VALID_SIGNATURE } : webhookSender(signer, headers)
  },
}
