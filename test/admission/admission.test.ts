import { createServer } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, workflow, writeProject } from '../support/files.ts'
import type { Answer, ConstraintUse, Decision, Execution, List, Started } from '../support/http.ts'
import { admitted, milliseconds, problem, rfc3339 } from '../support/http.ts'
import { freePort } from '../support/ports.ts'
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
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    types = ["web"]
    command "say" {
      argv = ["/bin/echo", "-n", "hello", "{who}", "to={who}"]
      params = { who = "^[a-z ;$()]+$" }
    }
    command "environment" { argv = ["/usr/bin/env"] }
    command "where" { argv = ["/bin/pwd"] }
    command "complain" { argv = ["/bin/sh", "-c", "echo oops >&2; exit 3"] }
    command "dawdle" {
      argv = ["/bin/sleep", "60"]
      timeout = "1s"
    }`,
  ...napping('nap', anywhere),
  ...napping('quota', `${anywhere}\n${limited('maxExecution', 3, 'period = "24h"')}`),
  ...napping('single', `${anywhere}\n${limited('concurency', 1, 'period = "15m"')}`),
  ...napping('keyed', `${anywhere}\n${limited('maxExecution', 50, 'period = "24h"')}`),
  ...napping('retried', `${anywhere}\n${limited('concurrency', 1)}`),
  ...napping('per-node', `${onNode}\n${limited('maxExecution', 1, 'period = "1h"\n  per = "node"')}`),
  ...napping('none', `${anywhere}\n${limited('maxExecution', 0, 'period = "1h"\n  is_global = true')}`),
  ...napping('brief', `${anywhere}\ntimeout = "2s"`),
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
  ...workflow(
    'fail',
    anywhere,
    `
    export async function fail() {
      throw ApplicationFailure.nonRetryable('the disk is full', 'DiskFull')
    }`,
  ),
  ...workflow('tell', anywhere, 'export async function tell(input, run) { return { input, run } }'),
  ...workflow(
    'named',
    `${anywhere}\nworkflow_type = "byAnotherName"`,
    `
    export async function byAnotherName() { return 'another' }`,
  ),
  ...commanding('command', onNode),
  ...commanding('command-near', `${onNode}\nworkflow_queue = "target"`),
  ...commanding('command-type', 'task_queue_target = "node_type"'),
  ...commanding('command-type-near', 'task_queue_target = "node_type"\nworkflow_queue = "target"'),
  ...commanding('command-database', 'task_queue_target = "node_type:database"'),
  ...commanding('command-datacenter', anywhere),
  ...workflow(
    'check',
    onNode,
    `
    const { checkHttp } = proxyActivities({ startToCloseTimeout: '30s' })
    export async function check(input) { return checkHttp(input) }`,
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
  test('of 50 starts at once with a limit of 3 a day, exactly 3 are admitted', async () => {
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

  test('those that were admitted have a receipt too, of what was used before them', async () => {
    const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=quota&outcome=admitted')
    const used = body.items.map(({ constraints }) =>
      constraints.map(({ used, limit, allowed, binding }) => [used, limit, allowed, binding]),
    )
    expect(used.reverse()).toEqual([0, 1, 2].map((before) => [[before, 3, true, false]]))
    expect(body.items.every(({ allowed_at, at }) => allowed_at === at)).toBe(true)
  })

  test('a limit for each node is counted for each node', async () => {
    await dev.started('per-node', { target: web1 })
    const { decision } = problem(await dev.start('per-node', { target: web1 }), 429, 'constraint_denied')
    expect(decision?.constraints).toMatchObject([{ scope: 'node', limit: 1, used: 1, binding: true }])
    await dev.started('per-node', { target: { node: 'db-1' } })
  })

  test('a limit of 0 that is global denies for ever, and says global', async () => {
    const answer = await dev.start('none')
    const { decision } = problem(answer, 429, 'constraint_denied')
    expect(decision).toMatchObject({ allowed_at: null, constraints: [{ scope: 'global', limit: 0, used: 0 }] })
    expect(answer.headers.has('retry-after')).toBe(false)
  })
})

describe('concurrency', () => {
  /** Asks until it is admitted; the attempts before were all denied. */
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

  test('a second start is denied while the first is open, with no time to come back', async () => {
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

  test('an execution that continues as new is open until its last run has ended', async () => {
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

  test('20 times at once with one body: one execution, and its id in every answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => keyed('twenty')))
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201])
    expect(new Set(answers.map(idIn)).size).toBe(1)
    for (const { status, headers } of answers) {
      expect(headers.get('idempotent-replayed')).toBe(status === 200 ? 'true' : null)
    }
    expect(await constraintsOf('keyed')).toMatchObject([{ used: 1 }])
    expect(await dev.temporal.listOnce('keyed', 1)).toHaveLength(1)
  })

  test('a replay is the execution as it is now', async () => {
    const { execution } = admitted(await keyed('replayed'))
    await dev.reaches(execution.id, 'completed')
    const again = await keyed('replayed')
    expect(again.status).toBe(200)
    expect(executionIn(again)).toMatchObject({ id: execution.id, status: 'completed', result: { slept: 5 } })
  })

  test('bodies are compared as parsed JSON', async () => {
    const { execution } = admitted(await keyed('parsed'))
    const again = await keyed('parsed', '{ "input": {"note":"\\u0078", "ms": 5.0},\n "reason": "once" }')
    expect(again.status).toBe(200)
    expect(idIn(again)).toBe(execution.id)
  })

  test('another body with the same key is a conflict', async () => {
    admitted(await keyed('other'))
    problem(await keyed('other', { ...body, reason: 'twice' }), 409, 'idempotency_conflict')
    problem(await keyed('other', {}), 409, 'idempotency_conflict')
  })

  test('another workflow may use the same key', async () => {
    admitted(await keyed('shared', body))
    admitted(await keyed('shared', body, 'nap'))
  })

  test('a denied start can be tried again with its key', async () => {
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
  test('says what a start would be told, and changes nothing', async () => {
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

  test('looks ahead with at, but not back', async () => {
    const later = new Date(Date.now() + day + 60_000).toISOString()
    const ahead = await evaluate('quota', { at: later })
    expect(ahead.body.decision).toMatchObject({ outcome: 'admitted', at: later, constraints: [{ used: 0 }] })
    const soon = await evaluate('quota', { at: new Date(Date.now() + day - 3_600_000).toISOString() })
    expect(soon.body.decision).toMatchObject({ outcome: 'denied' })
    const back = await evaluate('quota', { at: new Date(Date.now() - 3_600_000).toISOString() })
    expect(problem(back, 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
  })

  test('tells of a queue that nobody serves, as a denial', async () => {
    const { status, body } = await evaluate('command', { target: { node: 'nowhere' }, input: { name: 'where' } })
    expect(status).toBe(200)
    expect(body.decision).toMatchObject({ id: null, outcome: 'denied', code: 'no_worker' })
  })

  test('refuses what a start would refuse', async () => {
    problem(await evaluate('command', {}), 422, 'invalid_target')
    problem(await evaluate('nap', { foo: 1 }), 400, 'bad_request')
    problem(await evaluate('no-such', {}), 404, 'unknown_workflow')
  })
})

describe('what is told of executions', () => {
  test('a completed one has its result and its times', async () => {
    const execution = await dev.ran('nap', { input: { ms: 5 }, reason: 'tired' })
    expect(execution).toMatchObject({
      workflow: 'nap',
      workflow_id: execution.id,
      run_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      datacenter: 'dc1',
      task_queue: 'dc1',
      status: 'completed',
      result: { slept: 5 },
      error: null,
      admitted_at: expect.stringMatching(rfc3339),
      started_at: expect.stringMatching(rfc3339),
      closed_at: expect.stringMatching(rfc3339),
    })
    const run = await dev.temporal.describe(execution.id)
    expect(run).toMatchObject({ runId: execution.run_id, type: 'nap', status: 'COMPLETED', taskQueue: 'dc1' })
    expect(at(execution.admitted_at)).toBeLessThanOrEqual(at(execution.closed_at))
  })

  test('a failed one has its error', async () => {
    const execution = await dev.ran('fail', {}, 'failed')
    expect(execution.result).toBeNull()
    expect(JSON.stringify(execution.error)).toContain('the disk is full')
  })

  test('one that takes longer than its timeout has timed out', async () => {
    const execution = await dev.ran('brief', { input: { ms: 60_000 } }, 'timed_out')
    expect(execution).toMatchObject({ result: null, closed_at: expect.stringMatching(rfc3339) })
  })

  test('one that was terminated past the coordinator is seen to be within 30 s', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    await dev.temporal.terminate(execution.id)
    expect(await dev.reaches(execution.id, 'terminated', { within: 35_000 })).toMatchObject({ result: null })
  })

  test('a running one can be canceled, once', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    await dev.reaches(execution.id, 'running')
    const path = `/v1/executions/${execution.id}/cancel`
    expect((await dev.call(path, { body: { reason: 'changed my mind' } })).status).toBe(202)
    await dev.reaches(execution.id, 'canceled')
    expect(await dev.temporal.describe(execution.id)).toMatchObject({ status: 'CANCELED' })
    problem(await dev.call(path, { body: {} }), 409, 'already_closed')
  })

  test('the workflow is told why it runs', async () => {
    const trigger = { source: 'prometheus', name: 'errant-server', fingerprint: 'c0ffee' }
    const sent = { input: { empty: [], big: 2 ** 60, text: 'ä€💥' }, reason: '5xx above 20%', trigger }
    const execution = await dev.ran('tell', sent)
    expect(execution.result).toMatchObject({
      input: sent.input,
      run: { execution_id: execution.id, workflow: 'tell', datacenter: 'dc1', reason: sent.reason, trigger },
    })
    const { body: decision } = await dev.call<Decision>(`/v1/decisions/${execution.id}`)
    expect(decision).toMatchObject({
      reason: sent.reason,
      trigger,
      workflow: 'tell',
      caller: 'anonymous',
      freeze: null,
    })
  })

  test('workflow_type names the function', async () => {
    const execution = await dev.ran('named')
    expect(execution).toMatchObject({ workflow: 'named', result: 'another' })
    expect(await dev.temporal.describe(execution.id)).toMatchObject({ type: 'byAnotherName' })
  })

  test('Temporal has the decision, the workflow and the target in the memo', async () => {
    const { execution } = await dev.started('command', { target: web1, input: { name: 'where' } })
    const run = await dev.temporal.describe(execution.id)
    expect(run?.memo).toEqual({ decision: execution.id, workflow: 'command', target: expect.objectContaining(web1) })
  })
})

describe('lists', () => {
  test('executions are listed newest first, in pages that have everything once', async () => {
    const all = (await dev.call<List<Execution>>('/v1/executions?workflow=keyed&limit=500')).body
    expect(all.next_cursor).toBeNull()
    expect(all.items.length).toBeGreaterThanOrEqual(4)
    const times = all.items.map(({ admitted_at }) => at(admitted_at))
    expect(times).toEqual([...times].sort((a, b) => b - a))
    const paged: Execution[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = `workflow=keyed&limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
      const page: List<Execution> = (await dev.call<List<Execution>>(`/v1/executions?${query}`)).body
      expect(page.items.length).toBeLessThanOrEqual(2)
      paged.push(...page.items)
      cursor = page.next_cursor
    }
    expect(paged.map(({ id }) => id)).toEqual(all.items.map(({ id }) => id))
  })

  test('a limit is 50 unless given', async () => {
    const { body } = await dev.call<List<Decision>>('/v1/decisions')
    expect(body.items).toHaveLength(50)
    expect(body.next_cursor).toEqual(expect.any(String))
  })

  test.each([
    ['workflow', 'quota', ({ workflow }: Execution) => workflow === 'quota'],
    ['node', 'db-1', ({ target }: Execution) => target.node === 'db-1'],
    ['datacenter', 'dc1', ({ datacenter }: Execution) => datacenter === 'dc1'],
    ['status', 'failed', ({ status }: Execution) => status === 'failed'],
    ['status', 'canceled', ({ status }: Execution) => status === 'canceled'],
  ])('executions can be chosen by %s=%s', async (key, value, fits) => {
    const { status, body } = await dev.call<List<Execution>>(`/v1/executions?${key}=${value}&limit=500`)
    expect(status).toBe(200)
    expect(body.items.length).toBeGreaterThan(0)
    expect(body.items.every(fits)).toBe(true)
    const all = (await dev.call<List<Execution>>('/v1/executions?limit=500')).body.items
    expect(body.items).toHaveLength(all.filter(fits).length)
  })

  test.each([
    ['workflow', 'quota', ({ workflow }: Decision) => workflow === 'quota'],
    ['node', 'db-1', ({ target }: Decision) => target?.node === 'db-1'],
    ['outcome', 'denied', ({ outcome }: Decision) => outcome === 'denied'],
    ['code', 'constraint_denied', ({ code }: Decision) => code === 'constraint_denied'],
    ['caller', 'anonymous', ({ caller }: Decision) => caller === 'anonymous'],
  ])('decisions can be chosen by %s=%s', async (key, value, fits) => {
    const { status, body } = await dev.call<List<Decision>>(`/v1/decisions?${key}=${value}&limit=500`)
    expect(status).toBe(200)
    expect(body.items.length).toBeGreaterThan(0)
    expect(body.items.every(fits)).toBe(true)
    const all = (await dev.call<List<Decision>>('/v1/decisions?limit=500')).body.items
    expect(body.items).toHaveLength(all.filter(fits).length)
  })

  test('decisions can be chosen by since', async () => {
    const since = new Date().toISOString()
    const { decision } = await dev.started('nap')
    const { body } = await dev.call<List<Decision>>(`/v1/decisions?since=${since}`)
    expect(body.items.map(({ id }) => id)).toEqual([decision.id])
  })

  test('filters that nothing fits give an empty list', async () => {
    for (const query of ['workflow=no-such', 'node=no-such', 'status=lost', 'workflow=quota&node=web-1']) {
      expect((await dev.call<List<Execution>>(`/v1/executions?${query}`)).body).toEqual({
        items: [],
        next_cursor: null,
      })
    }
    expect((await dev.call<List<Decision>>('/v1/decisions?caller=spiffe://a/b')).body.items).toEqual([])
  })

  test('the operator on the socket is another caller, and the same key is not his', async () => {
    const headers = { 'idempotency-key': 'of-anonymous', ...patient }
    const first = admitted(await dev.start('nap', {}, headers))
    const sent = { body: {}, headers }
    const { body, status } = await dev.callSocket<Started>('/v1/workflows/nap/executions', sent)
    expect(status).toBe(201)
    expect(body.decision.caller).toBe('spiffe://resile.local/operator')
    expect(body.execution.id).not.toBe(first.execution.id)
    const query = `caller=${encodeURIComponent('spiffe://resile.local/operator')}`
    expect((await dev.call<List<Decision>>(`/v1/decisions?${query}`)).body.items).toHaveLength(1)
  })

  test('workflows are listed with each constraint and its present use', async () => {
    const { body } = await dev.call<List<{ constraints: ConstraintUse[] }>>('/v1/workflows?limit=500')
    const ofQuota = body.items.filter((item) => JSON.stringify(item).includes('"quota"'))
    expect(ofQuota).toHaveLength(1)
    expect(ofQuota[0]?.constraints).toMatchObject([{ kind: 'maxExecution', limit: 3, used: 3 }])
    expect(await constraintsOf('quota')).toMatchObject([{ kind: 'maxExecution', limit: 3, used: 3 }])
    expect(await constraintsOf('single')).toMatchObject([{ kind: 'concurrency', limit: 1 }])
  })
})

describe('where things run', () => {
  const environmentOf = (execution: Execution) => {
    const { stdout } = execution.result as { stdout: string }
    return Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=', 2)),
    ) as Record<string, string>
  }

  test.each([
    ['node', 'command', web1, 'web-1', 'dc1:node:web-1', 'dc1'],
    ['another node', 'command', { node: 'db-1' }, 'db-1', 'dc1:node:db-1', 'dc1'],
    ['node with its datacenter', 'command', { node: 'db-1', datacenter: 'dc1' }, 'db-1', 'dc1:node:db-1', 'dc1'],
    ['node, workflow included', 'command-near', web1, 'web-1', 'dc1:node:web-1', 'dc1:node:web-1'],
    ['node type', 'command-type', { node_type: 'web' }, 'web-1', 'dc1:type:web', 'dc1'],
    ['other node type', 'command-type', { node_type: 'database' }, 'db-1', 'dc1:type:database', 'dc1'],
    [
      'node type, workflow included',
      'command-type-near',
      { node_type: 'web' },
      'web-1',
      'dc1:type:web',
      'dc1:type:web',
    ],
    ['fixed node type', 'command-database', undefined, 'db-1', 'dc1:type:database', 'dc1'],
    ['fixed node type, given', 'command-database', { node_type: 'database' }, 'db-1', 'dc1:type:database', 'dc1'],
    ['datacenter', 'command-datacenter', { datacenter: 'dc1' }, /^(web|db)-1$/, 'dc1', 'dc1'],
    ['datacenter by default', 'command-datacenter', undefined, /^(web|db)-1$/, 'dc1', 'dc1'],
  ])(
    '%s: activities on its queue without the author saying so',
    async (_, name, target, node, queue, workflowQueue) => {
      const execution = await dev.ran(name, {
        ...(target === undefined ? {} : { target }),
        input: { name: 'environment' },
      })
      expect(execution.task_queue).toBe(queue)
      expect(environmentOf(execution)['RESILE_NODE']).toMatch(node)
      expect(await dev.temporal.activityQueues(execution.id)).toEqual([queue])
      expect(await dev.temporal.describe(execution.id)).toMatchObject({ taskQueue: workflowQueue })
    },
  )

  test.each([
    ['command', {}],
    ['command', { node_type: 'web' }],
    ['command', { datacenter: 'dc1' }],
    ['command', { node: 'web-1', node_type: 'web' }],
    ['command-type', {}],
    ['command-type', { node: 'web-1' }],
    ['command-database', { node_type: 'web' }],
    ['command-database', { node: 'db-1' }],
    ['command-datacenter', { node: 'web-1' }],
    ['command-datacenter', { node_type: 'web' }],
  ])('a target that does not fit %s is refused: %j', async (name, target) => {
    const { errors } = problem(await dev.start(name, { target, input: { name: 'where' } }), 422, 'invalid_target')
    expect(errors?.[0]?.path).toMatch(/^\/target(\/|$)/)
  })

  test('a missing target is refused where one is needed', async () => {
    problem(await dev.start('command', { input: { name: 'where' } }), 422, 'invalid_target')
    problem(await dev.start('command-type', { input: { name: 'where' } }), 422, 'invalid_target')
  })

  test('a node, or a type, that nobody has is no worker', async () => {
    for (const node of ['nowhere', 'constructor']) {
      const answer = await dev.start('command', { target: { node }, input: { name: 'where' } })
      const { decision } = problem(answer, 503, 'no_worker')
      expect(answer.headers.get('retry-after')).toBe('5')
      expect(decision).toMatchObject({ outcome: 'denied', code: 'no_worker' })
    }
    problem(await dev.start('command-type', { target: { node_type: 'mail' }, input: {} }), 503, 'no_worker')
  })
})

describe('runCommand', () => {
  const resultOf = async (input: unknown) => (await dev.ran('command', { target: web1, input })).result

  test('runs the argv with its parameters, without a shell', async () => {
    const result = await resultOf({ name: 'say', params: { who: 'you; echo $(id)' } })
    expect(result).toEqual({
      exitCode: 0,
      stdout: 'hello you; echo $(id) to=you; echo $(id)',
      stderr: '',
      durationMs: expect.any(Number),
    })
  })

  test('has only PATH, HOME, RESILE_NODE and RESILE_EXECUTION_ID in the environment', async () => {
    const execution = await dev.ran('command', { target: web1, input: { name: 'environment' } })
    const { stdout } = execution.result as { stdout: string }
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=', 1)[0])
    expect(names.sort()).toEqual(['HOME', 'PATH', 'RESILE_EXECUTION_ID', 'RESILE_NODE'])
    expect(stdout).toContain(`RESILE_EXECUTION_ID=${execution.id}`)
  })

  test('has the project as working directory', async () => {
    expect(await resultOf({ name: 'where' })).toMatchObject({ stdout: `${project}\n` })
  })

  test('returns when the command ends with another code than 0', async () => {
    expect(await resultOf({ name: 'complain' })).toMatchObject({ exitCode: 3, stdout: '', stderr: 'oops\n' })
  })

  test.each([
    ['CommandNotAllowed', { name: 'rm' }],
    ['CommandNotAllowed', { name: 'constructor' }],
    ['InvalidParams', { name: 'say' }],
    ['InvalidParams', { name: 'say', params: { who: 'YOU' } }],
    ['InvalidParams', { name: 'say', params: { who: 'you\n' } }],
    ['InvalidParams', { name: 'say', params: { who: 'you', whom: 'me' } }],
    ['InvalidParams', { name: 'say', params: { who: 5 } }],
    ['CommandTimeout', { name: 'dawdle' }],
  ])('%s is a failure that is not retried: %j', async (type, input) => {
    expect(await resultOf(input)).toEqual({ type, final: true })
  })
})

describe('checkHttp', () => {
  const server = createServer((request, response) => {
    if (request.url === '/slow') return
    response.writeHead(request.url === '/sick' ? 500 : 200).end('ok')
  })
  let url: string
  beforeAll(async () => {
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${port}`
    return () => {
      server.closeAllConnections()
      server.close()
    }
  })
  const check = async (input: unknown) => (await dev.ran('check', { target: web1, input })).result

  test('tells whether the status is the expected one', async () => {
    expect(await check({ url })).toEqual({ ok: true, status: 200, durationMs: expect.any(Number) })
    expect(await check({ url: `${url}/sick` })).toMatchObject({ ok: false, status: 500 })
    expect(await check({ url: `${url}/sick`, expectStatus: 500 })).toMatchObject({ ok: true, status: 500 })
  })

  test('never throws', async () => {
    expect(await check({ url: `${url}/slow`, timeout: '1s' })).toMatchObject({ ok: false, error: expect.any(String) })
    const closed = `http://127.0.0.1:${await freePort()}/`
    expect(await check({ url: closed })).toMatchObject({ ok: false, error: expect.any(String) })
    expect(await check({ url: 'not a url' })).toMatchObject({ ok: false, error: expect.any(String) })
  })
})

describe('nodes', () => {
  const beat = (node: string, more: Record<string, unknown> = {}) =>
    dev.call(`/v1/nodes/${node}`, {
      method: 'PUT',
      body: {
        datacenter: 'dc1',
        types: ['guest'],
        labels: { rack: 'r1' },
        build_id: 'b1',
        boot_id: 'boot-1',
        draining: false,
        queues: [{ name: `dc1:node:${node}`, workflow_types: [], activity_types: ['runCommand', 'checkHttp'] }],
        closed: [],
        ...more,
      },
    })
  const names = async () => {
    const { body } = await dev.call<List<unknown>>('/v1/nodes')
    return ['web-1', 'db-1', 'guest-1', 'guest-2'].filter((name) => JSON.stringify(body.items).includes(`"${name}"`))
  }

  test('live ones are listed, and shown', async () => {
    expect(await names()).toEqual(['web-1', 'db-1'])
    const { status, body } = await dev.call('/v1/nodes/web-1')
    expect(status).toBe(200)
    expect(body).toMatchObject({ datacenter: 'dc1', types: ['web'] })
    expect((await dev.call('/v1/nodes/web-9')).status).toBe(404)
  })

  test('one is live for 15 s after a heartbeat, or until it drains', async () => {
    expect((await beat('guest-1')).status).toBe(204)
    expect((await beat('guest-2')).status).toBe(204)
    const since = Date.now()
    expect(await names()).toEqual(['web-1', 'db-1', 'guest-1', 'guest-2'])
    expect((await beat('guest-2', { draining: true })).status).toBe(204)
    const draining = await evaluate('command', { target: { node: 'guest-2' }, input: { name: 'where' } })
    expect(draining.body.decision).toMatchObject({ code: 'no_worker' })
    await until('the node is dead', async () => !(await names()).includes('guest-1'), { within: 25_000 })
    expect(Date.now() - since).toBeGreaterThan(14_000)
    expect(Date.now() - since).toBeLessThan(17_000)
  })
})

describe('metrics', () => {
  test('count decisions and executions', async () => {
    const { status, text, headers } = await dev.call('/metrics')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/plain/)
    const lines = text.split('\n')
    const value = (name: string, ...labels: string[]) =>
      Number(
        lines
          .find((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
          ?.split(' ')
          .at(-1),
      )
    expect(value('resile_decisions_total{', 'workflow="quota"', 'outcome="denied"', 'code="constraint_denied"')).toBe(
      47,
    )
    expect(value('resile_decisions_total{', 'workflow="quota"', 'outcome="admitted"')).toBe(3)
    expect(value('resile_executions_closed_total{', 'workflow="fail"', 'status="failed"')).toBeGreaterThanOrEqual(1)
    expect(value('resile_nodes_live{', 'datacenter="dc1"')).toBe(2)
    expect(value('resile_outbox_pending')).toBe(0)
    expect(text).toContain('resile_executions_open')
  })
})

test('in the end Temporal still has exactly three of the type with a limit of 3', async () => {
  expect(await dev.temporal.list('quota')).toHaveLength(3)
})
