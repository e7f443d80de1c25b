/**
 * What an execution has done so far: its activities, read from Temporal's history. Pure.
 *
 * @see https://github.com/temporalio/api, temporal/api/history/v1/message.proto
 */
import { decodePayload, type Payloads } from '../../shared/payload.ts'
import { truncate } from '../../shared/truncate.ts'
import type { Step } from '../../shared/wire.ts'
import type { TemporalAnswer } from './client.ts'

/** Steps that are shown at most, the newest. */
const MAX_STEPS = 500
/** Fields of an activity's argument that identify its subject, by precedence. */
const SUBJECTS = ['name', 'url', 'pool', 'node', 'repository']
/** Length of a text that is shown, in characters. */
const MAX_TEXT_LENGTH = 200

/** One page of a history; null when the answer is none. */
export function historyPage(answer: TemporalAnswer): { events: HistoryEvent[]; nextPageToken: string } | null {
  if (answer.ok !== true) return null
  const { history, nextPageToken = '' } = answer.body as {
    history?: { events?: HistoryEvent[] }
    nextPageToken?: string
  }
  return { events: history?.events ?? [], nextPageToken }
}

/** The activities of a run, in the order in which they were scheduled; pages of its history come one by one. */
export class StepReader {
  readonly #steps = new Map<string, Step & { id: string }>()

  /** Takes the next page in. Of it only what is shown is kept: arguments and results may be large. */
  add(events: readonly HistoryEvent[]): void {
    for (const event of events) {
      const scheduled = event.activityTaskScheduledEventAttributes
      if (scheduled !== undefined) this.#steps.set(event.eventId ?? '', begun(event, scheduled))
      const [status, end] = endOf(event)
      const step = this.#steps.get(end?.scheduledEventId ?? '')
      if (step === undefined || end === undefined) continue
      if (status === 'started') step.attempts = end.attempt ?? 1
      else {
        const outcome = { failure: messageOf(end.failure), exit_code: exitCodeOf(end.result) }
        Object.assign(step, { status, ended_at: timeOf(event), ...outcome })
      }
    }
  }

  /** @param described answer to a Describe: history has an activity's attempts only once it has ended */
  steps(described: TemporalAnswer): Step[] {
    const all = [...this.#steps.values()]
    for (const pending of pendingOf(described)) {
      const step = all.find(({ id, status }) => status === 'running' && id === pending.activityId)
      if (step !== undefined)
        Object.assign(step, {
          attempts: pending.attempt ?? 1,
          failure: messageOf(pending.lastFailure),
          waiting_for: waitingFor(pending.heartbeatDetails),
        })
    }
    return all.slice(-MAX_STEPS).map(({ id: _, ...step }) => step)
  }
}

/** One event of a history, as far as it is read. */
export interface HistoryEvent {
  eventId?: string
  eventTime?: string
  activityTaskScheduledEventAttributes?: Scheduled
  activityTaskStartedEventAttributes?: End
  activityTaskCompletedEventAttributes?: End
  activityTaskFailedEventAttributes?: End
  activityTaskTimedOutEventAttributes?: End
  activityTaskCanceledEventAttributes?: End
}

interface Scheduled {
  activityId?: string
  activityType?: { name?: string }
  input?: Payloads
}

interface End {
  scheduledEventId?: string
  result?: Payloads
  attempt?: number
  failure?: FailureText
}

interface FailureText {
  message?: string
  cause?: FailureText
}

interface Pending {
  activityId?: string
  attempt?: number
  lastFailure?: FailureText
  heartbeatDetails?: Payloads
}

function begun(event: HistoryEvent, { activityId = '', activityType, input }: Scheduled): Step & { id: string } {
  return {
    id: activityId,
    activity: activityType?.name ?? '',
    subject: subjectOf(input),
    status: 'running',
    attempts: 1,
    started_at: timeOf(event),
    ended_at: null,
    failure: null,
    exit_code: null,
    waiting_for: null,
  }
}

function endOf(event: HistoryEvent): [Step['status'] | 'started', End | undefined] {
  const started = event.activityTaskStartedEventAttributes
  if (started !== undefined) return ['started', started]
  if (event.activityTaskCompletedEventAttributes !== undefined) {
    return ['completed', event.activityTaskCompletedEventAttributes]
  }
  if (event.activityTaskFailedEventAttributes !== undefined) return ['failed', event.activityTaskFailedEventAttributes]
  if (event.activityTaskTimedOutEventAttributes !== undefined) {
    return ['timed_out', event.activityTaskTimedOutEventAttributes]
  }
  return ['canceled', event.activityTaskCanceledEventAttributes]
}

function pendingOf(described: TemporalAnswer): Pending[] {
  if (described.ok !== true) return []
  const { pendingActivities } = described.body as { pendingActivities?: unknown }
  return Array.isArray(pendingActivities) ? (pendingActivities as Pending[]) : []
}

/** The subject of an activity, from its first argument. Parameters may hold secrets, so only known fields are shown. */
function subjectOf(input: Payloads | undefined): string | null {
  const [payload] = input?.payloads ?? []
  const argument = payload === undefined ? null : decodePayload(payload)
  if (typeof argument !== 'object' || argument === null) return null
  for (const field of SUBJECTS) {
    const value: unknown = Reflect.get(argument, field)
    if (typeof value === 'string') return truncate(withoutSecrets(value), MAX_TEXT_LENGTH)
  }
  return null
}

/** Of an activity that ran a command, by itself or as a test: a program that fails ends an activity well. */
function exitCodeOf(result: Payloads | undefined): number | null {
  const [payload] = result?.payloads ?? []
  const value = payload === undefined ? null : decodePayload(payload)
  for (const part of [value, field(value, 'test')]) {
    const code = field(part, 'exitCode')
    if (typeof code === 'number') return code
  }
  return null
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** What an activity says in its heartbeats (host-worker/worker/journal/activity-heartbeat.ts). */
function waitingFor(details: Payloads | undefined): string | null {
  const [payload] = details?.payloads ?? []
  const text = field(payload === undefined ? null : decodePayload(payload), 'waiting_for')
  return typeof text === 'string' ? truncate(text, MAX_TEXT_LENGTH) : null
}

/** A URL without its password, query and fragment; any other text as it is. */
function withoutSecrets(text: string): string {
  if (!text.includes('://') || !URL.canParse(text)) return text
  const { protocol, host, pathname, search } = new URL(text)
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`
}

function messageOf(failure: FailureText | undefined): string | null {
  if (failure === undefined) return null
  return truncate(failure.cause?.message ?? failure.message ?? '', MAX_TEXT_LENGTH)
}

function timeOf({ eventTime }: HistoryEvent): string {
  return new Date(eventTime ?? 0).toISOString()
}
