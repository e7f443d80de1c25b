import { ProblemError } from '../../http/problem.ts'
import { textOf } from '../../notify/secret.ts'
import { NO_VALID_SIGNATURE, type SignatureCheck } from '../common/integration.ts'
import { readSlackRequest } from './request.ts'
import { isSignedBySlack, readSlackHeaders } from './signature.ts'

export const signature: SignatureCheck = {
  path: /^\/v1\/triggers\/slack$/,
  async check({ coordinator: { slack } }, env, request) {
    const headers = readSlackHeaders(request.headers, Date.now())
    if ('refused' in headers) return headers
    if (slack === undefined) return { refused: NO_VALID_SIGNATURE }
    const secret = textOf(env, 'slack', slack.signing_secret_env)
    if (secret === null) {
      throw new ProblemError('starting', "Slack's signing secret is missing or shorter than 16 bytes")
    }
    if (!(await isSignedBySlack(secret, headers, request.body))) return { refused: NO_VALID_SIGNATURE }
    const sent = readSlackRequest(request.body)
    if (sent === null) return { refused: 'it names no user of a workspace' }
    return { identity: { caller: sent.caller, reason: null }, message: headers }
  },
}
