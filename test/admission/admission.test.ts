import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, workflow, writeProject } from '../support/files.ts'
import type { Answer, ConstraintUse, Decision, Execution, List, Started } from '../support/http.ts'
import { admitted, milliseconds, problem, rfc3339 } from '../support/http.ts'
import { until } from '../support/until.ts'

const day = 24 * 3_600_000
const anywhere = 'task_queue_target = "datacenter"'
const onNode = 'task_queue_target = "node"'
const patient = { prefer: 'wait=30' }
const web1 = { node: 'web-1' }

function limited(kind: string, value: number, more = ''): string {
  return `constraint {\n  kind = "${kind}"\n  value = ${value}\n  ${more}\n}`
}

const project = writeProject({
  ...napping('nap', anywhere),
  ...napping('quota', `${anywhere}\n${limited('maxExecution', 3, 'period = "24h"')}`),
  ...napping('single', `${anywhere}\n${limited('concurency', 1, 'period = "15m"')}`),
  ...napping('keyed', `${anywhere}\n${limited('maxExecution', 50, 'period = "24h"')}`),
  ...napping('retried', `${anywhere}\n${limited('concurrency', 1)}`),
  ...napping('per-node', `${onNode}\n${limited('maxExecution', 1, 'period = "1h"\n  per = "node"')}`),
  ...napping('none', `${anywhere}\n${limited('maxExecution', 0, 'period = "1h"\n  is_global = true')}`),
  ...commanding('command', onNode),
  ...workflow(
    'roll',
    `${anywhere}\n${limited('concurrency', 1)}`,
    `
    export async function roll(input, run) {
      await sleep(800)
      if (input.left > 0) await continueAsNew({ left: input.left - 1 }, run)
      return { rolled: true }
    }`,
  ),
})

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web', 'db-1:database'] })
})

const at = (time: string | null | undefined) => Date.parse(time ?? 'never')
const constraintsOf = async (name: string) => {
  const { body } = await dev.call<{ constraints: ConstraintUse[] }>(`/v1/workflows/${name}`)
  return body.constraints
}
const evaluate = (name: string, body: unknown) =>
  dev.call<{ decision: Decision }>(`/v1/workflows/${name}/evaluate`, { body })

describe('maxExecution', () => {
  test('50 concurrent starts, 3 a day allowed → exactly 3 admitted, 47 denied with receipts', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => dev.start('quota', {}, patient)))
    const ids = answers.filter(({ status }) => status === 201).map((answer) => admitted(answer).execution.id)
    expect(ids).toHaveLength(3)
    const denials = answers.filter(({ status }) => status !== 201)
    expect(denials).toHaveLength(47)
    for (const answer of denials) {
      const { decision } = problem(answer, 429, 'constraint_denied')
      expect(Math.abs(Number(answer.headers.get('retry-after')) - 86_400)).toBeLessThanOrEqual(60)
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(decision).toMatchObject({
        outcome: 'denied',
        code: 'constraint_denied',
        workflow: 'quota',
        caller: 'anonymous',
      })
      expect(Math.abs(at(decision?.allowed_at) - at(decision?.at) - day)).toBeLessThan(60_000)
      expect(decision?.constraints).toEqual([
        {
          kind: 'maxExecution',
          scope: 'datacenter',
          key: expect.any(String),
          limit: 3,
          period: expect.any(String),
          used: 3,
          allowed: false,
          allowed_at: decision?.allowed_at,
          binding: true,
        },
      ])
      expect(milliseconds(decision?.constraints[0]?.period ?? null)).toBe(day)
    }
    const runs = await dev.temporal.listOnce('quota', 3)
    expect(runs.map(({ workflowId }) => workflowId).sort()).toEqual(ids.sort())
  })

  test('admitted starts → receipts with the usage before each', async () => {
    const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=quota&outcome=admitted')
    const used = body.items.map(({ constraints }) =>
      constraints.map(({ used, limit, allowed, binding }) => [used, limit, allowed, binding]),
    )
    expect(used.reverse()).toEqual([0, 1, 2].map((before) => [[before, 3, true, false]]))
    expect(body.items.every(({ allowed_at, at }) => allowed_at === at)).toBe(true)
  })

  test('limit per node → counted for each node', async () => {
    await dev.started('per-node', { target: web1 })
    const { decision } = problem(await dev.start('per-node', { target: web1 }), 429, 'constraint_denied')
    expect(decision?.constraints).toMatchObject([{ scope: 'node', limit: 1, used: 1, binding: true }])
    await dev.started('per-node', { target: { node: 'db-1' } })
  })

  test('global limit of 0 → denied without end, scope global', async () => {
    const answer = await dev.start('none')
    const { decision } = problem(answer, 429, 'constraint_denied')
    expect(decision).toMatchObject({ allowed_at: null, constraints: [{ scope: 'global', limit: 0, used: 0 }] })
    expect(answer.headers.has('retry-after')).toBe(false)
  })
})

describe('concurrency', () => {
  /** Sends the trigger until it is admitted; all attempts before that must be denied. */
  const untilAdmitted = async (name: string) => {
    const started = await until(
      `${name} is admitted`,
      async () => {
        const sent = Date.now()
        const answer = await dev.start(name, {}, patient)
        if (answer.status === 429) return false
        return { sent, started: admitted(answer) }
      },
      { within: 40_000, every: 200 },
    )
    return started
  }
  const closedAt = async (id: string) => at((await dev.temporal.describe(id))?.closeTime)

  test('second start while the first is open → denied without Retry-After, admitted after its end', async () => {
    const { execution } = await dev.started('single', { input: { ms: 3_000 } })
    const answer = await dev.start('single')
    const { decision } = problem(answer, 429, 'constraint_denied')
    expect(answer.headers.has('retry-after')).toBe(false)
    expect(decision).toMatchObject({
      allowed_at: null,
      constraints: [{ kind: 'concurrency', limit: 1, used: 1, allowed: false, allowed_at: null, binding: true }],
    })
    const { sent } = await untilAdmitted('single')
    const closed = await closedAt(execution.id)
    expect(sent).toBeGreaterThan(closed - 250)
    expect(sent - closed).toBeLessThan(10_000)
  })

  test('execution that continues as new → open until its last run ends', async () => {
    const { execution } = await dev.started('roll', { input: { left: 3 } })
    const { sent } = await untilAdmitted('roll')
    const closed = await closedAt(execution.id)
    expect(sent).toBeGreaterThan(closed - 250)
    expect(sent - closed).toBeLessThan(10_000)
    expect(await dev.reaches(execution.id, 'completed')).toMatchObject({ result: { rolled: true } })
    expect(
      (await dev.temporal.listOnce('roll', 5)).filter(({ workflowId }) => workflowId === execution.id),
    ).toHaveLength(4)
  })
})

describe('Idempotency-Key', () => {
  const body = { reason: 'once', input: { ms: 5, note: 'x' } }
  const keyed = (key: string, sent: unknown = body, name = 'keyed') =>
    dev.start(name, sent, { ...patient, 'idempotency-key': key })
  /** The execution in an answer, alone or with its decision. */
  const executionIn = (answer: Answer<unknown>) => {
    const found = answer.body as Execution | Started
    return 'execution' in found ? found.execution : found
  }
  const idIn = (answer: Answer<unknown>) => executionIn(answer).id

  test('20 concurrent starts with one key → one execution, its id in every answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => keyed('twenty')))
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201])
    expect(new Set(answers.map(idIn)).size).toBe(1)
    for (const { status, headers } of answers) {
      expect(headers.get('idempotent-replayed')).toBe(status === 200 ? 'true' : null)
    }
    expect(await constraintsOf('keyed')).toMatchObject([{ used: 1 }])
    expect(await dev.temporal.listOnce('keyed', 1)).toHaveLength(1)
  })

  test('replay → the execution as it is now', async () => {
    const { execution } = admitted(await keyed('replayed'))
    await dev.reaches(execution.id, 'completed')
    const again = await keyed('replayed')
    expect(again.status).toBe(200)
    expect(executionIn(again)).toMatchObject({ id: execution.id, status: 'completed', result: { slept: 5 } })
  })

  test('same JSON spelled differently → replay', async () => {
    const { execution } = admitted(await keyed('parsed'))
    const again = await keyed('parsed', '{ "input": {"note":"\\u0078", "ms": 5.0},\n "reason": "once" }')
    expect(again.status).toBe(200)
    expect(idIn(again)).toBe(execution.id)
  })

  test('another body with the same key → conflict', async () => {
    admitted(await keyed('other'))
    problem(await keyed('other', { ...body, reason: 'twice' }), 409, 'idempotency_conflict')
    problem(await keyed('other', {}), 409, 'idempotency_conflict')
  })

  test('same key for another workflow → separate execution', async () => {
    admitted(await keyed('shared', body))
    admitted(await keyed('shared', body, 'nap'))
  })

  test('denied start repeated with its key → evaluated again', async () => {
    const { execution } = await dev.started('retried', { input: { ms: 1_500 } })
    problem(await keyed('denied', body, 'retried'), 429, 'constraint_denied')
    const later = await until('the key is good for an admission', async () => {
      const answer = await keyed('denied', body, 'retried')
      return answer.status !== 429 && answer
    })
    expect(admitted(later).execution.id).not.toBe(execution.id)
    expect(idIn(await keyed('denied', body, 'retried'))).toBe(idIn(later))
  })
})

describe('evaluate', () => {
  test('evaluation → the decision of a start, and nothing changes', async () => {
    const before = await dev.call('/v1/decisions?workflow=quota&limit=500')
    const denied = await evaluate('quota', {})
    expect(denied.status).toBe(200)
    expect(denied.body.decision).toMatchObject({
      id: null,
      outcome: 'denied',
      code: 'constraint_denied',
      allowed_at: expect.stringMatching(rfc3339),
      constraints: [{ kind: 'maxExecution', used: 3, limit: 3, binding: true }],
    })
    const free = await evaluate('keyed', {})
    expect(free.body.decision).toMatchObject({ id: null, outcome: 'admitted', code: null })
    const used = (answer: typeof free) => answer.body.decision.constraints.map((constraint) => constraint.used)
    expect(used(await evaluate('keyed', {}))).toEqual(used(free))
    expect((await dev.call('/v1/decisions?workflow=quota&limit=500')).body).toEqual(before.body)
  })

  test('at in the future → evaluated then; at in the past → refused', async () => {
    const later = new Date(Date.now() + day + 60_000).toISOString()
    const ahead = await evaluate('quota', { at: later })
    expect(ahead.body.decision).toMatchObject({ outcome: 'admitted', at: later, constraints: [{ used: 0 }] })
    const soon = await evaluate('quota', { at: new Date(Date.now() + day - 3_600_000).toISOString() })
    expect(soon.body.decision).toMatchObject({ outcome: 'denied' })
    const back = await evaluate('quota', { at: new Date(Date.now() - 3_600_000).toISOString() })
    expect(problem(back, 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
  })

  test('queue without a worker → denied', async () => {
    const { status, body } = await evaluate('command', { target: { node: 'nowhere' }, input: { name: 'where' } })
    expect(status).toBe(200)
    expect(body.decision).toMatchObject({ id: null, outcome: 'denied', code: 'no_worker' })
  })

  test('invalid start → refused alike', async () => {
    problem(await evaluate('command', {}), 422, 'invalid_target')
    problem(await evaluate('nap', { foo: 1 }), 400, 'bad_request')
    problem(await evaluate('no-such', {}), 404, 'unknown_workflow')
  })
})

test('maxExecution: after all tests → Temporal has exactly the 3 admitted executions', async () => {
  expect(await dev.temporal.list('quota')).toHaveLength(3)
})
