import { describe, expect, test } from 'vitest'
import { STARTED_TOO_LATE } from '../../shared/failure-types.ts'
import {
  fullWindows,
  isLate,
  judgeAnswers,
  judgeDecisions,
  judgeDoubles,
  judgeLate,
  judgeLimits,
  judgePromises,
  type Promised,
  type Run,
  type Sent,
} from './judge.ts'
import type { DrillWorkflow, Rule } from './workflows.ts'

let made = 0

/** A run of a second on web-1 in ams, started at `startedAt`, unless told otherwise. */
function run(startedAt: number, more: Partial<Run> = {}): Run {
  made += 1
  return {
    workflowId: `id-${made}`,
    runId: `run-${made}`,
    type: 'work',
    datacenter: 'ams',
    node: 'web-1',
    startedAt,
    openUntil: startedAt + 1000,
    ending: 'COMPLETED',
    failure: null,
    beginBy: null,
    mark: `mark-${made}`,
    deeds: ['TIMER_STARTED'],
    ...more,
  }
}

function kind(...rules: Rule[]): DrillWorkflow[] {
  return [{ name: 'work', target: 'node', validFor: 10, share: 1, rules }]
}

function answered(more: Partial<Sent> = {}): Sent {
  return { mark: '1-1', kind: 'work', key: null, status: 201, code: null, id: 'promised', at: 0, ...more }
}

const whats = (violations: readonly { what: string }[]) => violations.map(({ what }) => what)

describe('maxExecution', () => {
  const limit: Rule = { kind: 'maxExecution', value: 2, seconds: 10 }

  test('as many starts as allowed in every window → no violation', () => {
    const starts = [0, 9_999, 10_000, 19_999, 20_000].map((at) => run(at))
    expect(judgeLimits(kind(limit), starts)).toEqual([])
  })

  test('one more, a millisecond early → violation', () => {
    const starts = [run(9_999), run(0), run(5_000)]
    const [violation, ...others] = judgeLimits(kind(limit), starts)
    expect(violation).toMatchObject({
      invariant: 'I1',
      what: 'work in ams: 3 starts within 10 s, permitted 2',
      evidence: [
        expect.stringContaining('00:00:00.000'),
        expect.stringContaining('00:00:05.000'),
        expect.stringContaining('00:00:09.999'),
      ],
    })
    expect(others).toEqual([])
  })

  test('window over two clock intervals → judged', () => {
    expect(judgeLimits(kind(limit), [run(8_000), run(9_000), run(11_000)])).toHaveLength(1)
  })

  test('datacenter, node or everywhere → counted there', () => {
    const spread = [run(0), run(1), run(2, { node: 'web-2' }), run(3, { datacenter: 'fra', node: 'web-3' })]
    expect(whats(judgeLimits(kind(limit), spread))).toEqual(['work in ams: 3 starts within 10 s, permitted 2'])
    expect(judgeLimits(kind({ ...limit, per: 'node' }), spread)).toEqual([])
    expect(whats(judgeLimits(kind({ ...limit, global: true }), spread))).toEqual([
      'work in all datacenters: 4 starts within 10 s, permitted 2',
    ])
  })

  test('other workflows → not counted', () => {
    expect(judgeLimits(kind(limit), [run(0), run(1), run(2, { type: 'other' })])).toEqual([])
  })

  test('one window → reported once', () => {
    const windows = fullWindows(
      [0, 1, 2, 3, 20_000, 20_001, 20_002].map((at) => run(at)),
      2,
      10_000,
    )
    expect(windows.map(({ length }) => length)).toEqual([4, 3])
  })
})

describe('concurrency', () => {
  const limit: Rule = { kind: 'concurrency', value: 1 }

  test('one after the other, in the same millisecond → no violation', () => {
    expect(judgeLimits(kind(limit), [run(0), run(1_000), run(2_000)])).toEqual([])
  })

  test('two at once for a millisecond → violation', () => {
    expect(whats(judgeLimits(kind(limit), [run(0), run(999)]))).toEqual(['work in ams: 2 open at once, permitted 1'])
  })

  test('last seen open before → proves nothing', () => {
    const open = run(0, { ending: null, openUntil: 500 })
    expect(judgeLimits(kind(limit), [open, run(500)])).toEqual([])
    expect(judgeLimits(kind(limit), [{ ...open, openUntil: 501 }, run(500)])).toHaveLength(1)
  })

  test('many at once → reported once, at the maximum', () => {
    const crowd = [run(0), run(100), run(200), run(5_000), run(5_500)]
    expect(whats(judgeLimits(kind(limit), crowd))).toEqual([
      'work in ams: 3 open at once, permitted 1',
      'work in ams: 2 open at once, permitted 1',
    ])
  })
})

test('exclusive: something else open on the node → violation, whichever came first', () => {
  const alone = kind({ kind: 'exclusive' })
  const elsewhere = [run(0, { node: 'web-2', type: 'other' }), run(0, { node: null, type: 'other' })]
  expect(judgeLimits(alone, [run(0), run(1_000, { type: 'other' }), ...elsewhere])).toEqual([])
  expect(judgeLimits(alone, [run(0), run(900, { type: 'other' })])).toHaveLength(1)
  expect(judgeLimits(alone, [run(0, { type: 'other' }), run(900)])).toHaveLength(1)
  expect(judgeLimits(alone, [run(0, { type: 'other' }), run(900, { type: 'another' })])).toEqual([])
})

test('maxUnavailable: several executions on a node → one node', () => {
  const drained = kind({ kind: 'maxUnavailable', value: 1 })
  expect(judgeLimits(drained, [run(0), run(100), run(100, { datacenter: 'fra', node: 'web-3' })])).toEqual([])
  expect(whats(judgeLimits(drained, [run(0), run(100, { node: 'web-2' })]))).toEqual([
    'work in ams: 2 nodes unavailable at once, permitted 1',
  ])
})

describe('start that came too late', () => {
  const late = { beginBy: 999, ending: 'FAILED', failure: STARTED_TOO_LATE, deeds: [] }

  test('after its valid_for → found', () => {
    expect(isLate(run(999, late))).toBe(false)
    expect(isLate(run(1_000, late))).toBe(true)
    expect(isLate(run(1_000))).toBe(false)
  })

  test('did nothing → no violation', () => {
    expect(judgeLate([run(1_000, late)])).toEqual([])
    const acted = run(1_000, { ...late, deeds: ['ACTIVITY_TASK_SCHEDULED'] })
    expect(judgeLate([acted])).toMatchObject([{ invariant: 'I1', what: 'work was started too late, and acted' }])
    expect(judgeLate([run(1_000, { ...late, ending: 'COMPLETED', failure: null })])).toHaveLength(1)
  })

  test('in time, refused by its worker → violation', () => {
    expect(judgeLate([run(999, late)])).toMatchObject([{ what: 'work was started in time, and rejected' }])
  })
})

describe('answered trigger', () => {
  const judge = (promised: Partial<Promised>, ...runs: Run[]) =>
    judgePromises(kind(), [answered()], [{ id: 'promised', record: null, holder: null, ...promised }], runs)
  const expired = { status: 'expired', error: { type: 'Expired', message: 'not started within its valid_for' } }

  test('ran → kept', () => {
    expect(judge({ holder: 'work' }, run(0, { workflowId: 'promised' }))).toEqual([])
  })

  test('nothing or a placeholder in Temporal, with a record → explained', () => {
    expect(judge({ record: expired })).toEqual([])
    expect(judge({ record: expired, holder: 'resile-void' })).toEqual([])
    expect(judge({ record: { status: 'failed', error: { type: 'StartRefused', message: 'too large' } } })).toEqual([])
    expect(judge({ record: expired, holder: 'work' }, run(2, { workflowId: 'promised', beginBy: 1 }))).toEqual([])
  })

  test.each([
    ['no record', null],
    ['a record without a reason', { status: 'expired', error: null }],
    ['a record of a run that Temporal does not know', { status: 'completed', error: null }],
    ['an unending wait', { status: 'pending', error: { type: 'NotStartedYet', message: 'no answer' } }],
  ])('%s → lost', (_, record) => {
    expect(judge({ record })).toMatchObject([{ invariant: 'lost' }])
    expect(judge({ record, holder: 'resile-void' })).toMatchObject([{ invariant: 'lost' }])
  })

  test('recorded as denied, but ran → violation', () => {
    const own = run(0, { workflowId: 'promised' })
    expect(judge({ record: expired, holder: 'work' }, own)).toMatchObject([{ invariant: 'I2' }])
    const canceled = { status: 'canceled', error: { type: 'Canceled', message: 'changed my mind' } }
    expect(judge({ record: canceled, holder: 'work' }, own)).toMatchObject([{ invariant: 'I2' }])
    expect(judge({ record: canceled, holder: 'work' }, { ...own, ending: 'CANCELED' })).toEqual([])
  })
})

describe('doubles', () => {
  test('two runs of one trigger → found, under one workflow id or two', () => {
    const first = run(0, { mark: '1-1' })
    expect(judgeDoubles([answered()], [first, run(0, { mark: '1-2' })])).toEqual([])
    expect(judgeDoubles([answered()], [first, run(0, { mark: '1-1' })])).toMatchObject([{ invariant: 'doubled' }])
    const again = run(0, { mark: '1-1', workflowId: first.workflowId })
    expect(judgeDoubles([], [first, again])).toHaveLength(1)
  })

  test('two executions of one key → found, even if neither ran', () => {
    const keyed = answered({ key: 'k' })
    expect(judgeDoubles([keyed, { ...keyed, status: 200 }], [])).toEqual([])
    expect(judgeDoubles([keyed, { ...keyed, status: 429, id: 'denied' }], [])).toEqual([])
    expect(judgeDoubles([keyed, { ...keyed, status: 202, id: 'other' }], [])).toMatchObject([{ invariant: 'doubled' }])
  })
})

test('run without an admission of its workflow → found', () => {
  const own = run(0, { workflowId: 'promised' })
  const decided = (decision: { workflow: string; outcome: string }) =>
    judgeDecisions([own], new Map([['promised', decision]]))
  expect(decided({ workflow: 'work', outcome: 'admitted' })).toEqual([])
  expect(decided({ workflow: 'work', outcome: 'denied' })).toHaveLength(1)
  expect(decided({ workflow: 'other', outcome: 'admitted' })).toHaveLength(1)
  expect(judgeDecisions([own], new Map())).toMatchObject([{ invariant: 'I3' }])
})

test('unexpected answers → found', () => {
  const statuses = [null, 200, 201, 202, 429, 503].map((status) => answered({ status }))
  expect(judgeAnswers(statuses)).toEqual([])
  expect(judgeAnswers([answered({ status: 409, code: 'idempotency_conflict' })])).toHaveLength(1)
})
