/** The door for PagerDuty's webhooks. */
import type { Config } from '../../../shared/config.ts'
import type { AppContext } from '../../context.ts'
import { parseBody } from '../../http/body.ts'
import { ProblemError } from '../../http/problem.ts'
import { fire } from '../../trigger/batch.ts'
import { momentsOf, record } from '../../trigger/episodes.ts'
import { answerItems, firingContext } from '../response.ts'
import { signedMessage, webhookOf } from '../signed-message.ts'
import { pagerdutySchema, pagerdutySignal } from './event.ts'

/** `POST /v1/triggers/pagerduty` */
export async function receiveIncident(context: AppContext, config: Config): Promise<Response> {
  if (!Object.values(config.coordinator.webhook).some(({ format }) => format === 'pagerduty')) {
    throw new ProblemError('not_found', 'coordinator.hcl has no webhook with format = "pagerduty"')
  }
  signedMessage(context)
  const { value } = parseBody(pagerdutySchema, context.req.raw, context.var.body)
  const signal = pagerdutySignal(config, value.event, webhookOf(context, config)?.workflow)
  const items = (await fire(firingContext(context, config), [signal])).flat()
  record(context, momentsOf('pagerduty', items, Date.now()))
  return answerItems(context, { items })
}
