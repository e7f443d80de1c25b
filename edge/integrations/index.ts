/** All integrations; docs/development.md lists what else a new one needs. */
import type { Config } from '../../shared/config.ts'
import type { Identity } from '../access/identify.ts'
import type { Sender, SignedRequest } from '../access/sender.ts'
import type { Notifier } from '../notify/notifier.ts'
import { alertmanager } from './alertmanager/index.ts'
import { cloudevents } from './cloudevents/index.ts'
import type { Integration } from './common/integration.ts'
import { pagerduty } from './pagerduty/index.ts'
import { slack } from './slack/index.ts'
import { webhook } from './webhook/index.ts'

/** In the order of the OpenAPI document. */
export const INTEGRATIONS: readonly Integration[] = [webhook, alertmanager, pagerduty, cloudevents, slack]

/** The notifiers of all integrations that receive escalations. */
export const NOTIFIERS: readonly Notifier[] = INTEGRATIONS.flatMap(({ notifier }) => notifier ?? [])

/**
 * Verifies the sender of a signed message: `webhook:<name>` if it is signed with that webhook's secret,
 * `slack:<workspace>/<user>` if Slack has signed it. A webhook is valid for the endpoint of its format only. Whether a
 * webhook exists is not disclosed to callers who are not authorised anyway.
 *
 * @param unsigned the caller's identity without a signature
 * @returns null for a request that needs no signature
 * @throws ProblemError `starting` when the secret is missing or can't be used
 */
export async function verifySender(
  config: Config,
  env: Env,
  unsigned: Identity,
  request: SignedRequest,
): Promise<Sender | null> {
  if (request.method !== 'POST') return null
  for (const { signature } of INTEGRATIONS) {
    const match = signature?.path.exec(request.path)
    if (signature === undefined || match === null || match === undefined) continue
    const result = await signature.check(config, env, request, match)
    if (result === null || 'identity' in result) return result
    return { identity: { ...unsigned, reason: result.refused }, refused: result.refused }
  }
  return null
}
