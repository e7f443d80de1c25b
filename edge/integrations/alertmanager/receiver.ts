/** The endpoint for Prometheus' Alertmanager. */
import type { AppContext } from '../../context.ts'
import { parseBody } from '../../http/body.ts'
import type { Route } from '../../route.ts'
import { batchContext, startBatch } from '../../trigger/batch.ts'
import { recordEpisodes } from '../../trigger/episodes.ts'
import { respondWithItems } from '../common/response.ts'
import { alertGroupSchema, episodesOf, signalOf, withFingerprint } from './alerts.ts'

export const alertmanagerRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/triggers/alertmanager',
    handler: receiveAlerts,
    body: alertGroupSchema,
    summary: 'Start what firing alerts of Alertmanager request, if constraints allow it now',
    answers: { 200: 'TriggerItems' },
    problems: ['unsupported_media_type', 'bad_request', 'try_again'],
  },
]

async function receiveAlerts(context: AppContext): Promise<Response> {
  const { config, body } = context.var
  const { value: group } = parseBody(alertGroupSchema, context.req.raw, body)
  const alerts = await Promise.all(group.alerts.map(withFingerprint))
  const items = await startBatch(
    batchContext(context),
    alerts.map((alert) => signalOf(config, alert)),
  )
  recordEpisodes(
    context,
    alerts.flatMap((alert, index) => episodesOf(config, alert, items[index] ?? [])),
  )
  const { truncatedAlerts } = group
  return respondWithItems(context, {
    items: items.flat(),
    ...(truncatedAlerts > 0 && { truncated_alerts: truncatedAlerts }),
  })
}
