/** The endpoint for PagerDuty's webhooks. */
import type { AppContext } from '../../context.ts'
import { parseBody } from '../../http/body.ts'
import { ProblemError } from '../../http/problem.ts'
import type { Route } from '../../route.ts'
import { batchContext, startBatch } from '../../trigger/batch.ts'
import { instantEpisodes, recordEpisodes } from '../../trigger/episodes.ts'
import { respondWithItems } from '../common/response.ts'
import { signedMessage, webhookOf } from '../common/signed-message.ts'
import { pagerdutySchema, pagerdutySignal } from './event.ts'

export const pagerdutyRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/triggers/pagerduty',
    handler: receiveIncident,
    body: pagerdutySchema,
    summary: "Start what an event of PagerDuty's webhooks (version 3) requests, if constraints allow it now",
    answers: { 200: 'TriggerItems' },
    problems: ['not_found', 'unsupported_media_type', 'bad_request', 'starting', 'try_again'],
  },
]

async function receiveIncident(context: AppContext): Promise<Response> {
  const { config, body } = context.var
  if (!Object.values(config.coordinator.webhook).some(({ format }) => format === 'pagerduty')) {
    throw new ProblemError('not_found', 'coordinator.hcl has no webhook with format = "pagerduty"')
  }
  signedMessage(context)
  const { value } = parseBody(pagerdutySchema, context.req.raw, body)
  const signal = pagerdutySignal(config, value.event, webhookOf(context)?.workflow)
  const items = (await startBatch(batchContext(context), [signal])).flat()
  recordEpisodes(context, instantEpisodes('pagerduty', items, Date.now()))
  return respondWithItems(context, { items })
}
