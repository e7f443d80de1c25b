/** The door for Prometheus' Alertmanager. */
import type { Config } from '../../shared/config.ts'
import { parseBody } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { alertGroupSchema, identified, signalOf } from '../triggers/alertmanager.ts'
import { fire } from '../triggers/fire.ts'
import { answerItems, firingContext } from './items.ts'

/** `POST /v1/triggers/alertmanager` */
export async function receiveAlerts(context: AppContext, config: Config): Promise<Response> {
  const { value: group } = parseBody(alertGroupSchema, context.req.raw, context.var.body)
  const alerts = await Promise.all(group.alerts.map(identified))
  // What came of each alert, firing or resolved, in their order.
  const came = await fire(
    firingContext(context, config),
    alerts.map((alert) => signalOf(config, alert)),
  )
  const { truncatedAlerts } = group
  return answerItems(context, { items: came.flat(), ...(truncatedAlerts > 0 && { truncated_alerts: truncatedAlerts }) })
}
