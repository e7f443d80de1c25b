/**
 * Groups of alerts from Prometheus' Alertmanager, version 4 of its webhooks.
 *
 * @see https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * @see https://github.com/prometheus/alertmanager/blob/v0.25.0/notify/webhook/webhook.go, `Message`
 */

import { z } from 'zod'
import type { Config } from '../../../shared/config.ts'
import { FINGERPRINT_LENGTH, fingerprintText } from '../../../shared/fingerprint.ts'
import { sha256 } from '../../../shared/sha256.ts'
import type { SignalEpisode, Target, TriggerItem } from '../../../shared/wire.ts'
import type { RequestedStart, Signal } from '../../trigger/batch.ts'
import { episodeOf } from '../../trigger/episodes.ts'
import { detectorsWith, requestedBy } from '../../trigger/push-detectors.ts'
import { findWorkflow } from '../../trigger/workflow.ts'

/** The label of an alert that names the workflow which heals it. */
const WORKFLOW_LABEL = 'remediation'
export const SOURCE = 'alertmanager'
/** Length of a name, in characters: it is repeated in responses, decisions and the log. */
const MAX_NAME_LENGTH = 255

const texts = z.record(z.string(), z.string())
const alertSchema = z.looseObject({
  status: z.enum(['firing', 'resolved']),
  labels: texts,
  annotations: texts.default({}),
  startsAt: z.iso.datetime({ offset: true }),
  endsAt: z.iso.datetime({ offset: true }).optional(),
  /** Old versions send none. */
  fingerprint: z.string().max(255).optional(),
})

/** Body of `POST /v1/triggers/alertmanager`. */
export const alertGroupSchema = z.looseObject({
  version: z.literal('4'),
  groupKey: z.string().optional(),
  /** How many more alerts the group has, by the sender's `max_alerts`. */
  truncatedAlerts: z.number().int().nonnegative().default(0),
  receiver: z.string().optional(),
  alerts: z.array(alertSchema),
})

/** One alert of a group. */
type Alert = z.output<typeof alertSchema> & { fingerprint: string }

/** An alert with its fingerprint: Alertmanager's, else one made from its labels. */
export async function withFingerprint(alert: z.output<typeof alertSchema>): Promise<Alert> {
  if (alert.fingerprint !== undefined && alert.fingerprint !== '') return { ...alert, fingerprint: alert.fingerprint }
  return { ...alert, fingerprint: (await sha256(fingerprintText(alert.labels))).slice(0, FINGERPRINT_LENGTH) }
}

/**
 * An alert as a signal. It requests a start for each detector whose labels it has, and for the workflow that its label
 * `remediation` names unless one of these detectors starts it. A resolved alert requests nothing.
 */
export function signalOf(config: Config, alert: Alert): Signal {
  const { fingerprint, status, labels } = alert
  const identity = { fingerprint, status }
  if (status === 'resolved') {
    return {
      ...identity,
      requested: [],
      fallback: { outcome: 'resolved', detail: 'the alert is resolved: nothing is started' },
    }
  }
  const detail = `${nameOf(labels)}: it has no label ${WORKFLOW_LABEL}, and no detector matches it`
  return { ...identity, requested: requestedByAlert(config, alert), fallback: { outcome: 'ignored', detail } }
}

/** The episodes of an alert, one per requested start, with its outcome; a resolved alert ends them. */
export function episodesOf(config: Config, alert: Alert, items: readonly TriggerItem[]): SignalEpisode[] {
  const { fingerprint, status, startsAt, endsAt } = alert
  const began = Date.parse(startsAt)
  const ended = status === 'firing' ? null : Date.parse(endsAt ?? startsAt)
  return requestedByAlert(config, alert).map(({ workflow, trigger }, index) => {
    const observed = { source: SOURCE, name: trigger.name ?? '', workflow, fingerprint, began, ended }
    return episodeOf(observed, status === 'firing' ? items[index] : undefined)
  })
}

function requestedByAlert(config: Config, { labels, annotations, fingerprint, startsAt }: Alert): RequestedStart[] {
  const common = {
    source: SOURCE,
    fingerprint,
    reason: annotations['summary'] || annotations['description'] || nameOf(labels),
    // Replicas of Alertmanager may write it in different time zones.
    deduplicationKey: [SOURCE, fingerprint, new Date(startsAt).toISOString()],
  }
  const requested = detectorsWith(config, 'alert')
    .filter(({ source }) => Object.entries(source.labels).every(([name, value]) => labelOf(labels, name) === value))
    .map((detector) => requestedBy(detector, { labels, annotations, value: null }, common))
  // A longer one is no valid name; neither is what is left of it.
  const named = labelOf(labels, WORKFLOW_LABEL)?.slice(0, MAX_NAME_LENGTH).toWellFormed()
  if (named === undefined || named === '' || requested.some(({ workflow }) => workflow === named)) return requested
  const byLabel: RequestedStart = {
    detector: null,
    workflow: named,
    parameters: () => ({ target: targetOf(config, named, labels), input: {} }),
    reason: common.reason,
    trigger: { source: SOURCE, name: nameOf(labels), fingerprint },
    // A detector may have the workflow's name.
    deduplicationKey: [...common.deduplicationKey, named, 'by label'],
  }
  return [...requested, byLabel]
}

/** The target that an alert's labels name, with the keys that the workflow takes. */
function targetOf(config: Config, workflow: string, labels: Readonly<Record<string, string>>): Target {
  const [scope] = findWorkflow(config, workflow).task_queue_target.split(':')
  const keys = scope === 'node' || scope === 'node_type' ? [scope, 'datacenter'] : ['datacenter']
  return Object.fromEntries(keys.flatMap((key) => (labelOf(labels, key) === undefined ? [] : [[key, labels[key]]])))
}

function labelOf(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  return labelOf(labels, 'alertname')?.slice(0, MAX_NAME_LENGTH).toWellFormed() ?? 'an alert without a name'
}
