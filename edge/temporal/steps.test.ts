import { describe, expect, test } from 'vitest'
import { encodePayload } from '../../shared/payload.ts'
import type { Step } from '../../shared/wire.ts'
import type { TemporalAnswer } from './client.ts'
import { type HistoryEvent, historyPage, StepReader } from './steps.ts'

/** As they come, an event a page. */
function stepsOf(events: readonly HistoryEvent[], described: TemporalAnswer): Step[] {
  const reader = new StepReader()
  for (const event of events) reader.add([event])
  return reader.steps(described)
}

const NO_ANSWER = { ok: null, message: 'gone' } as const
const at = (second: number): string => `2026-01-01T00:00:0${second}Z`
const scheduled = (eventId: string, second: number, name: string, argument?: unknown) => ({
  eventId,
  eventTime: at(second),
  activityTaskScheduledEventAttributes: {
    activityId: `a${eventId}`,
    activityType: { name },
    ...(argument === undefined ? {} : { input: { payloads: [encodePayload(argument)] } }),
  },
})

test('steps: activities → in the order in which they were scheduled, with their ends', () => {
  const events = [
    { eventId: '1', eventTime: at(0) },
    scheduled('5', 1, 'runCommand', { name: 'restart', params: { token: 'secret' } }),
    scheduled('6', 1, 'checkHttp', { url: 'http://web-1/' }),
    { eventId: '7', eventTime: at(2), activityTaskStartedEventAttributes: { scheduledEventId: '5', attempt: 3 } },
    { eventId: '8', eventTime: at(3), activityTaskCompletedEventAttributes: { scheduledEventId: '5' } },
    {
      eventId: '9',
      eventTime: at(4),
      activityTaskFailedEventAttributes: {
        scheduledEventId: '6',
        failure: { message: 'activity error', cause: { message: 'no such host' } },
      },
    },
    scheduled('10', 5, 'rebootHost'),
  ]
  const common = {
    started_at: '2026-01-01T00:00:01.000Z',
    failure: null,
    attempts: 1,
    exit_code: null,
    waiting_for: null,
  }
  expect(stepsOf(events, NO_ANSWER)).toEqual([
    {
      ...common,
      activity: 'runCommand',
      subject: 'restart',
      status: 'completed',
      attempts: 3,
      ended_at: '2026-01-01T00:00:03.000Z',
    },
    {
      ...common,
      activity: 'checkHttp',
      subject: 'http://web-1/',
      status: 'failed',
      ended_at: '2026-01-01T00:00:04.000Z',
      failure: 'no such host',
    },
    {
      ...common,
      activity: 'rebootHost',
      subject: null,
      status: 'running',
      started_at: '2026-01-01T00:00:05.000Z',
      ended_at: null,
    },
  ])
})

test('steps: running activity → attempts from Describe', () => {
  const described = {
    ok: true,
    body: { pendingActivities: [{ activityId: 'a5', attempt: 4, lastFailure: { message: 'refused' } }] },
  } as const
  expect(stepsOf([scheduled('5', 1, 'runCommand')], described)).toMatchObject([
    { status: 'running', attempts: 4, failure: 'refused' },
  ])
})

test('steps: activity that waits for its host → what it waits for', () => {
  const heartbeatDetails = { payloads: [encodePayload({ waiting_for: 'command restart of execution e1' })] }
  const described = { ok: true, body: { pendingActivities: [{ activityId: 'a5', heartbeatDetails }] } } as const
  expect(stepsOf([scheduled('5', 1, 'runCommand')], described)).toMatchObject([
    { status: 'running', waiting_for: 'command restart of execution e1' },
  ])
})

test('steps: command that fails → its exit code', () => {
  const result = { payloads: [encodePayload({ exitCode: 28, stdout: '' })] }
  const end = { eventId: '6', eventTime: '2026-01-01T00:00:03Z' }
  const completed = { ...end, activityTaskCompletedEventAttributes: { scheduledEventId: '5', result } }
  expect(stepsOf([scheduled('5', 1, 'runCommand'), completed], NO_ANSWER)).toMatchObject([
    { status: 'completed', exit_code: 28 },
  ])
})

test.each([
  ['https://user:pass@web-1:8080/health?token=secret#secret', 'https://web-1:8080/health?…'],
  ['http://web-1/', 'http://web-1/'],
  ['https://user:pass@git.example.org/fleet.git', 'https://git.example.org/fleet.git'],
  ['a://b c', 'a://b c'],
])('steps: subject → no secrets: %s', (url, subject) => {
  expect(stepsOf([scheduled('5', 1, 'checkHttp', { url })], NO_ANSWER)).toMatchObject([{ subject }])
})

describe('history page', () => {
  test('with a token → next page', () => {
    const body = { history: { events: [{ eventId: '1' }] }, nextPageToken: 'more' }
    expect(historyPage({ ok: true, body })).toEqual({ events: [{ eventId: '1' }], nextPageToken: 'more' })
    expect(historyPage({ ok: true, body: {} })).toEqual({ events: [], nextPageToken: '' })
  })

  test('invalid → null', () => expect(historyPage(NO_ANSWER)).toBeNull())
})
