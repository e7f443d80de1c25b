import { ProblemError } from '../../http/problem.ts'
import { textsOf } from '../../notify/secret.ts'
import { NO_VALID_SIGNATURE, type SignatureCheck } from '../common/integration.ts'
import { readSlackRequest } from './request.ts'
import { isSignedBySlack, readSlackHeaders } from './signature.ts'

export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/slack$/,
  async check({ coordinator: { slack } }, env, request) {
    const headers = readSlackHeaders(request.headers, Date.now())
    if ('refused' in headers) return headers
    if (slack === undefined) return { refused: NO_VALID_SIGNATURE }
    const { signing_secret_env: secret_env, previous_signing_secret_env: previous_secret_env } = slack
    const secrets = textsOf(env, 'slack', { secret_env, previous_secret_env })
    if (secrets.length === 0) {
      throw new ProblemError('starting', "Slack's signing secret is missing or shorter than 16 bytes")
    }
    const checks = await Promise.all(secrets.map((secret) => isSignedBySlack(secret, headers, request.body)))
    if (!checks.includes(true)) return { refused: NO_VALID_SIGNATURE }
    const sent = readSlackRequest(request.body)
    if (sent === null) return { refused: 'it names no user of a workspace' }
    return { identity: { caller: sent.caller, reason: null }, message: headers }
  },
}
