/** Groups of alerts as Alertmanager sends them. */
import type { Config } from '../../shared/config.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../shared/wire.ts'
import { configured, post } from './configured.ts'
import { type Answer, request } from './coordinator.ts'

export const PATH = '/v1/triggers/alertmanager'
export const JSON_TYPE = { 'content-type': 'application/json' }

export const OPEN = configured({
  detectors: {
    sick: {
      workflow: 'typed',
      target: { node: '${labels.node}' },
      input: { unit: '${labels.unit}', options: { why: '${annotations.summary}' } },
      alert: { labels: { alertname: 'ServiceSick', severity: 'critical' } },
    },
    limited: { workflow: 'thrice', target: { node: 'web-1' }, alert: { labels: { alertname: 'Limited' } } },
    again: { workflow: 'free', target: { node: 'web-2' }, alert: { labels: { alertname: 'Twofold' } } },
    valued: { workflow: 'free', target: { node: '${value}' }, alert: { labels: { alertname: 'Valued' } } },
  },
})

let count = 0

/**
 * An alert of a group, of the shape that Alertmanager sends.
 *
 * @see https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * @see https://docs.rs/crate/alertmanager-webhook-types/latest/source/assets/sample-v4-payload.json for a recorded one
 */
export function alert(labels: Record<string, string>, over: object = {}): Record<string, unknown> {
  count += 1
  return {
    status: 'firing',
    labels: { alertname: 'ProbeFailure', instance: 'https://server.example.org', job: 'http_checks', ...labels },
    annotations: { summary: 'BlackBox Probe Failure', description: 'down for over 5m' },
    startsAt: '2023-02-06T13:08:45.828Z',
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus.example.org:9090/graph?g0.expr=probe_success+%3D%3D+0',
    fingerprint: `1a30ba71cca2${String(count).padStart(4, '0')}`,
    ...over,
  }
}

export function group(alerts: object[], over: object = {}): string {
  return JSON.stringify({
    receiver: 'resile',
    status: 'firing',
    alerts,
    groupLabels: { alertname: 'ProbeFailure' },
    commonLabels: { alertname: 'ProbeFailure' },
    commonAnnotations: {},
    externalURL: 'http://prometheus.example.org:9093',
    version: '4',
    groupKey: '{}/{severity="critical"}:{alertname="ProbeFailure"}',
    truncatedAlerts: 0,
    ...over,
  })
}

export async function deliver(
  alerts: object[],
  config: Config = OPEN,
  over: object = {},
): Promise<Answer & { items: TriggerItem[] }> {
  const answer = await post(config, PATH, group(alerts, over), JSON_TYPE)
  const schema = answer.status === 200 ? triggerItemsSchema : problemSchema
  return { ...answer, items: schema.parse(answer.body).items ?? [] }
}

export const decisions = async (): Promise<Record<string, unknown>[]> =>
  (await request('GET', '/v1/decisions')).body.items as Record<string, unknown>[]
