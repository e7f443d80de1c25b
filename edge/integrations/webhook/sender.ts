import { Webhook } from 'standardwebhooks'
import type { Config } from '../../../shared/config.ts'
import type { SignatureResult, SignedRequest } from '../../access/sender.ts'
import { keysOf } from '../../notify/secret.ts'
import {
  NO_VALID_SIGNATURE,
  refuseUnusableSecret,
  type SignatureCheck,
  webhookSender,
  webhooksWith,
} from '../common/integration.ts'
import { isSigned, readHeaders } from './signature.ts'

export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/webhook\/(?<name>[^/]+)$/,
  check: (config, env, request, match) => checkSignature(config, env, match.groups?.['name'] ?? '', request),
}

/** Replaces the key of a webhook that does not exist, so that the refusal takes as long; what it signs is refused too. */
const NO_KEY = new Webhook(new Uint8Array(32), { format: 'raw' })

function checkSignature(config: Config, env: Env, name: string, request: SignedRequest): SignatureResult {
  const headers = readHeaders(request.headers, Date.now())
  if ('refused' in headers) return headers
  const [entry] = webhooksWith(config, 'standard').filter(([other]) => other === name)
  const keys = entry === undefined ? [] : keysOf(env, `webhook ${name}`, entry[1])
  if (entry !== undefined && keys.length === 0) refuseUnusableSecret(config, name, request)
  const signed = (keys.length === 0 ? [NO_KEY] : keys).some((key) => isSigned(key, headers, request.body))
  if (!signed || keys.length === 0) return { refused: NO_VALID_SIGNATURE }
  return webhookSender(name, headers)
}
