/** The door for Prometheus' Alertmanager. */
import type { Config } from '../../../shared/config.ts'
import type { AppContext } from '../../context.ts'
import { parseBody } from '../../http/body.ts'
import { fire } from '../../trigger/batch.ts'
import { record } from '../../trigger/episodes.ts'
import { answerItems, firingContext } from '../response.ts'
import { alertGroupSchema, episodesOf, identified, signalOf } from './alerts.ts'

/** `POST /v1/triggers/alertmanager` */
export async function receiveAlerts(context: AppContext, config: Config): Promise<Response> {
  const { value: group } = parseBody(alertGroupSchema, context.req.raw, context.var.body)
  const alerts = await Promise.all(group.alerts.map(identified))
  const came = await fire(
    firingContext(context, config),
    alerts.map((alert) => signalOf(config, alert)),
  )
  record(
    context,
    alerts.flatMap((alert, index) => episodesOf(config, alert, came[index] ?? [])),
  )
  const { truncatedAlerts } = group
  return answerItems(context, { items: came.flat(), ...(truncatedAlerts > 0 && { truncated_alerts: truncatedAlerts }) })
}
