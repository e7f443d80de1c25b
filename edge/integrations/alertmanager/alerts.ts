/**
 * Groups of alerts from Prometheus' Alertmanager, version 4 of its webhooks.
 *
 * @see https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * @see https://github.com/prometheus/alertmanager/blob/v0.25.0/notify/webhook/webhook.go, `Message`
 */
import { z } from 'zod'
import type { Config } from '../../../shared/config.ts'
import { sha256 } from '../../../shared/sha256.ts'
import type { SignalEpisode, Target, TriggerItem } from '../../../shared/wire.ts'
import type { Signal, Wanted } from '../../trigger/batch.ts'
import { episodeOf } from '../../trigger/episodes.ts'
import { detectorsWith, wantedBy } from '../../trigger/push-detectors.ts'
import { findWorkflow } from '../../trigger/workflow.ts'

/** The label of an alert that names the workflow which heals it. */
const WORKFLOW_LABEL = 'remediation'
const SOURCE = 'alertmanager'
/** Most of a name that is told, in characters: it comes back in answers, decisions and the log. */
const NAME_MOST = 255

/** Most alerts of a group: real ones are not so small that more fit into a body, and each is held against all detectors. */
const ALERTS_MOST = 2000

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
  alerts: z.array(alertSchema).max(ALERTS_MOST, { error: `a group may have ${ALERTS_MOST} alerts; see max_alerts` }),
})

/** One alert of a group. */
type Alert = z.output<typeof alertSchema> & { fingerprint: string }

/** An alert with its fingerprint: Alertmanager's, else one of its labels. */
export async function identified(alert: z.output<typeof alertSchema>): Promise<Alert> {
  if (alert.fingerprint !== undefined && alert.fingerprint !== '') return { ...alert, fingerprint: alert.fingerprint }
  const pairs = Object.entries(alert.labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return { ...alert, fingerprint: (await sha256(JSON.stringify(pairs))).slice(0, 16) }
}

/**
 * An alert as a signal. It wants what each detector wants all of whose labels it has, and the workflow that its label
 * names, unless one of these detectors starts that one. A resolved alert wants nothing.
 */
export function signalOf(config: Config, alert: Alert): Signal {
  const { fingerprint, status, labels } = alert
  const told = { fingerprint, status }
  if (status === 'resolved') {
    return { ...told, wanted: [], otherwise: { outcome: 'resolved', detail: 'it has ended: nothing is started' } }
  }
  const detail = `${nameOf(labels)}: it has no label ${WORKFLOW_LABEL}, and no detector is meant for it`
  return { ...told, wanted: wantedByAlert(config, alert), otherwise: { outcome: 'ignored', detail } }
}

/** The episodes of an alert, one for each thing that it wants, with what came of that: a resolved one ends them. */
export function episodesOf(config: Config, alert: Alert, came: readonly TriggerItem[]): SignalEpisode[] {
  const { fingerprint, status, startsAt, endsAt } = alert
  const began = Date.parse(startsAt)
  const ended = status === 'firing' ? null : Date.parse(endsAt ?? startsAt)
  return wantedByAlert(config, alert).map(({ workflow, trigger }, index) => {
    const facts = { source: SOURCE, name: trigger.name ?? '', workflow, fingerprint, began, ended }
    return episodeOf(facts, status === 'firing' ? came[index] : undefined)
  })
}

function wantedByAlert(config: Config, { labels, annotations, fingerprint, startsAt }: Alert): Wanted[] {
  const what = {
    source: SOURCE,
    fingerprint,
    reason: annotations['summary'] || annotations['description'] || nameOf(labels),
    // It may be written in another time zone by another of several Alertmanagers.
    occasion: [SOURCE, fingerprint, new Date(startsAt).toISOString()],
  }
  const wanted = detectorsWith(config, 'alert')
    .filter(({ source }) => Object.entries(source.labels).every(([name, value]) => labelOf(labels, name) === value))
    .map((detector) => wantedBy(detector, { labels, annotations, value: null }, what))
  // One that is longer is no name; what is kept of it is none either.
  const named = labelOf(labels, WORKFLOW_LABEL)?.slice(0, NAME_MOST).toWellFormed()
  if (named === undefined || named === '' || wanted.some(({ workflow }) => workflow === named)) return wanted
  const byLabel: Wanted = {
    detector: null,
    workflow: named,
    order: () => ({ target: targetOf(config, named, labels), input: {} }),
    reason: what.reason,
    trigger: { source: SOURCE, name: nameOf(labels), fingerprint },
    // A detector may have the workflow's name.
    occasion: [...what.occasion, named, 'by label'],
  }
  return [...wanted, byLabel]
}

/** The target that an alert's labels name, as the workflow wants one. */
function targetOf(config: Config, workflow: string, labels: Readonly<Record<string, string>>): Target {
  const [scope] = findWorkflow(config, workflow).task_queue_target.split(':')
  const keys = scope === 'node' || scope === 'node_type' ? [scope, 'datacenter'] : ['datacenter']
  return Object.fromEntries(keys.flatMap((key) => (labelOf(labels, key) === undefined ? [] : [[key, labels[key]]])))
}

function labelOf(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}

function nameOf(labels: Readonly<Record<string, string>>): string {
  return labelOf(labels, 'alertname')?.slice(0, NAME_MOST).toWellFormed() ?? 'an alert without a name'
}
