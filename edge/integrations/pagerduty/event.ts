/**
 * Events of PagerDuty's webhooks, version 3.
 *
 * @see https://developer.pagerduty.com/docs/webhooks-overview
 * @see https://support.pagerduty.com/main/docs/webhooks
 */
import { RE2JS } from 're2js'
import { z } from 'zod'
import type { Config } from '../../../shared/config.ts'
import type { Signal } from '../../trigger/batch.ts'
import { refuseStale } from '../../trigger/freshness.ts'
import { type Detector, detectorsWith, requestedBy } from '../../trigger/push-detectors.ts'

/** The event that PagerDuty sends to test a webhook. */
const PING = 'pagey.ping'
const SOURCE = 'pagerduty'

const identifier = z.string().max(255)
const reference = z.looseObject({ id: identifier, summary: z.string().nullish(), name: z.string().nullish() }).nullish()
const eventSchema = z.looseObject({
  id: z.string().min(1).max(255),
  event_type: z.string().min(1).max(255),
  occurred_at: z.iso.datetime({ offset: true }),
  data: z
    .looseObject({
      id: identifier.nullish(),
      type: z.string().nullish(),
      number: z.number().nullish(),
      title: z.string().nullish(),
      urgency: z.string().nullish(),
      service: reference,
      priority: reference,
      /** Of a service. */
      summary: z.string().nullish(),
      name: z.string().nullish(),
      /** Of what belongs to an incident, such as a note. */
      incident: reference,
    })
    .nullish(),
})

/** Body of `POST /v1/triggers/pagerduty`. */
export const pagerdutySchema = z.looseObject({ event: eventSchema })

/** One event. */
type PagerDutyEvent = z.output<typeof eventSchema>

/**
 * An event as a signal: it requests a start for each detector that it matches.
 *
 * @param workflow the only workflow that its sender may start; undefined for any
 * @throws ProblemError `bad_request` for an event that is too old
 */
export function pagerdutySignal(config: Config, event: PagerDutyEvent, workflow: string | undefined): Signal {
  const { id, event_type, occurred_at } = event
  const labels = labelsOf(event)
  const fingerprint = labels['incident_id'] ?? id
  const identity = { fingerprint, status: event_type }
  if (event_type === PING)
    return { ...identity, requested: [], fallback: { outcome: 'ignored', detail: 'ping received' } }
  refuseStale(occurred_at, '/event/occurred_at')
  const number = labels['incident_number'] === undefined ? '' : `#${labels['incident_number']} `
  const common = {
    source: SOURCE,
    fingerprint,
    reason: `${number}${labels['title'] ?? event_type}`,
    // PagerDuty signs no timestamp: the event's id identifies a second delivery.
    deduplicationKey: [SOURCE, id],
  }
  const outcomes = detectorsWith(config, 'pagerduty')
    .filter(({ detector }) => workflow === undefined || detector.workflow === workflow)
    .map((detector) => ({ detector, match: matched(detector, labels) }))
  const requested = outcomes.flatMap(({ detector, match }) =>
    'refused' in match
      ? []
      : [requestedBy(detector, { labels: { ...labels, ...match.groups }, annotations: {}, value: null }, common)],
  )
  return { ...identity, requested, fallback: { outcome: 'ignored', detail: whyIgnored(event_type, outcomes) } }
}

/** What of an event detectors can interpolate. */
function labelsOf({ event_type, data }: PagerDutyEvent): Record<string, string> {
  const { number, title, urgency, priority } = data ?? {}
  // Of an event about a service itself, the data is the service.
  const service = data?.type === 'service' ? { id: data.id, summary: data.summary, name: data.name } : data?.service
  const pairs: [string, string | null | undefined][] = [
    ['event_type', event_type],
    ['incident_id', data?.type === 'incident' ? data.id : data?.incident?.id],
    ['incident_number', number === null || number === undefined ? null : String(number)],
    ['service_id', service?.id],
    ['service_name', service?.summary ?? service?.name],
    ['urgency', urgency],
    ['priority', priority?.summary ?? priority?.name],
    ['title', title],
  ]
  return Object.fromEntries(pairs.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}

/** Why no detector requests anything: the one that came nearest to a match says it best. */
function whyIgnored(eventType: string, outcomes: readonly { detector: { name: string }; match: Match }[]): string {
  for (const reason of ['title', 'service'] as const) {
    const near = outcomes.filter(({ match }) => 'refused' in match && match.refused === reason)
    if (near.length === 0) continue
    const names = near.map(({ detector }) => detector.name).join(', ')
    return `no detector matches ${eventType}: its ${reason} is not one of detector ${names}`
  }
  return `no detector matches ${eventType}`
}

/** What the named groups of a detector's pattern captured from the title, or what of the event doesn't fit. */
type Match = { groups: Record<string, string> } | { refused: 'event_type' | 'service' | 'title' }

/** Whether an event is one of a detector's. */
function matched(
  { source }: Detector<{ event_types: string[]; services: string[]; title?: string | undefined }>,
  labels: Readonly<Record<string, string>>,
): Match {
  const { event_types, services, title: pattern } = source
  if (!event_types.includes(labels['event_type'] ?? '')) return { refused: 'event_type' }
  if (services.length > 0 && !services.includes(labels['service_id'] ?? '')) return { refused: 'service' }
  if (pattern === undefined) return { groups: {} }
  // RE2 runs in linear time: an incident's title can't be crafted to keep the coordinator busy.
  const matcher = RE2JS.compile(pattern).matcher(labels['title'] ?? '')
  if (!matcher.find()) return { refused: 'title' }
  const groups = Object.entries(matcher.getNamedGroups())
  return { groups: Object.fromEntries(groups.filter((pair): pair is [string, string] => pair[1] !== null)) }
}
