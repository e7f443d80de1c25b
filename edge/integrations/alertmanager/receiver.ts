/** The endpoint for Prometheus' Alertmanager. */
import type { AppContext } from '../../context.ts'
import { parseBody } from '../../http/body.ts'
import type { Route } from '../../route.ts'
import { batchContext, startBatch } from '../../trigger/batch.ts'
import { droppedEpisode, noteDropped } from '../../trigger/dropped.ts'
import { recordEpisodes } from '../../trigger/episodes.ts'
import { respondWithItems } from '../common/response.ts'
import { alertGroupSchema, episodesOf, SOURCE, signalOf, withFingerprint } from './alerts.ts'

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
  const { truncatedAlerts } = group
  const isTruncated = truncatedAlerts > 0
  recordEpisodes(context, [
    ...alerts.flatMap((alert, index) => episodesOf(config, alert, items[index] ?? [])),
    ...(isTruncated ? [droppedEpisode(context, SOURCE, 'truncated groups', 'truncated')] : []),
  ])
  const tooMany = items.flat().filter(({ code }) => code === 'too_large').length
  if (tooMany > 0) noteDropped(context, SOURCE, 'too_many', tooMany, 'the group requests too many starts')
  if (isTruncated) noteDropped(context, SOURCE, 'truncated', truncatedAlerts, "cut by Alertmanager's max_alerts")
  return respondWithItems(context, {
    items: items.flat(),
    ...(isTruncated && { truncated_alerts: truncatedAlerts }),
  })
}
