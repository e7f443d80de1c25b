import { describe, expect, test } from 'vitest'
import { encodePayload } from '../../shared/payload.ts'
import type { TemporalAnswer } from './client.ts'
import { stuckError, stuckTask } from './workflow-task.ts'

const NOW = Date.parse('2026-01-01T00:10:00Z')
const described = (pendingWorkflowTask: object | undefined, problems: string[] = []): TemporalAnswer => ({
  ok: true,
  body: {
    ...(pendingWorkflowTask === undefined ? {} : { pendingWorkflowTask }),
    workflowExecutionInfo: {
      searchAttributes: { indexedFields: { TemporalReportedProblems: encodePayload(problems) } },
    },
  },
})
const scheduled = (at: string, more: object = {}): object => ({
  state: 'PENDING_WORKFLOW_TASK_STATE_SCHEDULED',
  scheduledTime: at,
  originalScheduledTime: at,
  attempt: 1,
  ...more,
})
const events = (...list: object[]): TemporalAnswer => ({ ok: true, body: { history: { events: list } } })
const failed = (cause: string, message: string): object => ({
  workflowTaskFailedEventAttributes: { cause: `WORKFLOW_TASK_FAILED_CAUSE_${cause}`, failure: { message } },
})

describe('open execution', () => {
  test.each([
    ['without a workflow task', undefined],
    ['whose task was scheduled a moment ago', scheduled('2026-01-01T00:09:50Z')],
    ['whose task a worker has', scheduled('2026-01-01T00:00:00Z', { state: 'PENDING_WORKFLOW_TASK_STATE_STARTED' })],
    ['whose task is tried again, as after a restart of its worker', scheduled('2026-01-01T00:09:50Z', { attempt: 2 })],
  ])('%s → makes progress', (_, task) => {
    expect(stuckTask(described(task), NOW)).toBeNull()
  })

  test('whose code fails again and again → stuck, with the failure', () => {
    const task = stuckTask(described(scheduled('2026-01-01T00:09:00Z', { attempt: 4 })), NOW)
    expect(task).toMatchObject({ attempts: 4 })
    const answer = events({}, failed('WORKFLOW_WORKER_UNHANDLED_FAILURE', 'x is undefined'), failed('OTHER', 'older'))
    expect(task && stuckError(task, answer)).toEqual({
      type: 'WorkflowTaskFailed',
      message: "the workflow's code fails, and is tried again: x is undefined",
      cause: 'WORKFLOW_WORKER_UNHANDLED_FAILURE',
      since: '2026-01-01T00:09:00.000Z',
    })
  })

  test('history that does not say why → what Temporal reports', () => {
    const reported = ['category=WorkflowTaskFailed', 'cause=WorkflowTaskFailedCauseNonDeterministicError']
    const task = stuckTask(described(scheduled('2026-01-01T00:09:00Z', { attempt: 9 }), reported), NOW)
    expect(task && stuckError(task, events())).toMatchObject({ message: expect.stringContaining(reported.join(' ')) })
  })

  test('whose task nobody takes → stuck', () => {
    const task = stuckTask(described(scheduled('2026-01-01T00:09:00Z')), NOW)
    expect(task && stuckError(task, events())).toMatchObject({
      type: 'WorkflowTaskNotTaken',
      message: 'no worker has taken its workflow task since 2026-01-01T00:09:00.000Z',
    })
  })

  test('failure with a whole result in it → cut', () => {
    const task = stuckTask(described(scheduled('2026-01-01T00:09:00Z', { attempt: 4 })), NOW)
    const error = task && stuckError(task, events(failed('X', 'y'.repeat(3_000_000))))
    expect(error?.message.length).toBeLessThan(700)
  })
})
