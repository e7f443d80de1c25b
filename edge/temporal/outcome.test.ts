import { describe, expect, it } from 'vitest'
import { encodePayload } from '../../shared/payload.ts'
import { readAnswer } from './client.ts'
import { ending, executionState, startOutcome } from './outcome.ts'

const TYPE = 'type.googleapis.com/temporal.api.errordetails.v1.'

function grpc(code: number, kind?: string, more: object = {}): ReturnType<typeof readAnswer> {
  return readAnswer(
    400,
    JSON.stringify({ code, message: 'm', details: kind === undefined ? [] : [{ '@type': TYPE + kind, ...more }] }),
  )
}

describe('startOutcome', () => {
  it("Temporal's own answer → proves a start", () => {
    expect(startOutcome(readAnswer(200, '{"runId":"r","started":true}'))).toEqual({
      kind: 'started',
      runId: 'r',
      occupied: false,
    })
    expect(startOutcome(grpc(6, 'WorkflowExecutionAlreadyStartedFailure', { runId: 'r' }))).toEqual({
      kind: 'started',
      runId: 'r',
      occupied: true,
    })
  })

  it.each([3, 5, 7, 9, 11, 12, 16])('gRPC %i → refused', (code) =>
    expect(startOutcome(grpc(code)).kind).toBe('refused'),
  )

  it.each([1, 2, 4, 8, 10, 13, 14, 15])('gRPC %i → proves nothing', (code) =>
    expect(startOutcome(grpc(code)).kind).toBe('unknown'),
  )

  it.each([
    [503, 'upstream connect error'],
    [200, ''],
    [200, '[]'],
    [404, '<html>'],
    [409, '{"error":"conflict"}'],
    [200, '{}'],
    [400, '{"code":"3"}'],
  ])('HTTP %i with %j → proves nothing', (status, text) =>
    expect(startOutcome(readAnswer(status, text)).kind).toBe('unknown'),
  )

  it('other AlreadyExists → proves nothing', () => expect(startOutcome(grpc(6)).kind).toBe('unknown'))
})

describe('executionState', () => {
  const described = (status: string): ReturnType<typeof executionState> =>
    executionState(
      readAnswer(
        200,
        JSON.stringify({
          workflowExecutionInfo: {
            execution: { runId: 'r' },
            status: `WORKFLOW_EXECUTION_STATUS_${status}`,
            closeTime: '2026-01-01T00:00:00Z',
          },
        }),
      ),
    )

  it.each([
    ['RUNNING', 'open'],
    ['CONTINUED_AS_NEW', 'open'],
    ['PAUSED', 'open'],
    ['SOMETHING_NEW', 'unknown'],
  ])('%s → %s', (status, kind) => expect(described(status).kind).toBe(kind))

  it('closed → with status and time', () => {
    expect(described('TIMED_OUT')).toEqual({
      kind: 'closed',
      runId: 'r',
      status: 'timed_out',
      closedAt: Date.UTC(2026, 0, 1),
    })
  })

  it('execution missing → absent; namespace missing → proves nothing', () => {
    expect(executionState(grpc(5, 'NotFoundFailure')).kind).toBe('absent')
    expect(executionState(grpc(5, 'NamespaceNotFoundFailure')).kind).toBe('unknown')
    expect(executionState(readAnswer(404, 'not here')).kind).toBe('unknown')
  })
})

describe('ending', () => {
  const closed = (event: object) => ending(readAnswer(200, JSON.stringify({ history: { events: [event] } })))

  it('completed → result', () => {
    expect(
      closed({ workflowExecutionCompletedEventAttributes: { result: { payloads: [encodePayload({ ok: [] })] } } }),
    ).toEqual({ result: { ok: [] }, error: null })
    expect(closed({ workflowExecutionCompletedEventAttributes: {} })).toEqual({ result: null, error: null })
  })

  it('failed → failure with details and causes', () => {
    const failure = {
      message: 'Activity task failed',
      activityFailureInfo: { activityType: { name: 'runCommand' } },
      cause: {
        message: 'no such command',
        applicationFailureInfo: { type: 'CommandNotAllowed', details: { payloads: [encodePayload('x')] } },
      },
    }
    const cause = { type: 'CommandNotAllowed', message: 'no such command', details: ['x'] }
    expect(closed({ workflowExecutionFailedEventAttributes: { failure } })?.error).toEqual({
      ...cause,
      activity: 'runCommand',
      cause,
    })
  })

  it('no event → null', () => expect(ending(readAnswer(200, '{}'))).toBeNull())
})
