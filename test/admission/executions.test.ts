/** How executions, decisions, workflows and nodes are shown: one by one, in lists and as metrics. */
import { beforeAll, describe, expect, test } from 'vitest'
import resile from '../../package.json' with { type: 'json' }
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, workflow, writeProject } from '../support/files.ts'
import type { ConstraintUse, Decision, Execution, List, Started } from '../support/http.ts'
import { admitted, problem, rfc3339 } from '../support/http.ts'
import { until } from '../support/until.ts'

const anywhere = 'task_queue_target = "datacenter"'
const onNode = 'task_queue_target = "node"'
const patient = { prefer: 'wait=30' }
const web1 = { node: 'web-1' }

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "where" {
      argv = ["/bin/pwd"]
      workflows = ["command"]
    }`,
  ...napping('nap', anywhere),
  ...napping('quota', `${anywhere}\n${limited('maxExecution', 3, 'period = "24h"')}`),
  ...napping('single', `${anywhere}\n${limited('concurency', 1, 'period = "15m"')}`),
  ...napping('keyed', anywhere),
  ...napping('brief', `${anywhere}\ntimeout = "2s"`),
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
})

function limited(kind: string, value: number, more = ''): string {
  return `constraint {\n  kind = "${kind}"\n  value = ${value}\n  ${more}\n}`
}

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web', 'db-1:database'] })
  // More than a page of decisions, of which three are admitted.
  await Promise.all(Array.from({ length: 50 }, () => dev.start('quota', {}, patient)))
  for (let count = 0; count < 5; count += 1) await dev.started('keyed')
  await dev.ran('command', { target: { node: 'db-1' }, input: { name: 'where' } })
})

const at = (time: string | null | undefined) => Date.parse(time ?? 'never')
const constraintsOf = async (name: string) => {
  const { body } = await dev.call<{ constraints: ConstraintUse[] }>(`/v1/workflows/${name}`)
  return body.constraints
}
const evaluate = (name: string, body: unknown) =>
  dev.call<{ decision: Decision }>(`/v1/workflows/${name}/evaluate`, { body })

describe('execution', () => {
  test('completed → has its result and its times', async () => {
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

  test('failed → has its error', async () => {
    const execution = await dev.ran('fail', {}, 'failed')
    expect(execution.result).toBeNull()
    expect(JSON.stringify(execution.error)).toContain('the disk is full')
  })

  test('longer than its timeout → timed_out', async () => {
    const execution = await dev.ran('brief', { input: { ms: 60_000 } }, 'timed_out')
    expect(execution).toMatchObject({ result: null, closed_at: expect.stringMatching(rfc3339) })
  })

  test('terminated in Temporal → terminated within 30 s', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    await dev.temporal.terminate(execution.id)
    expect(await dev.reaches(execution.id, 'terminated', { within: 35_000 })).toMatchObject({ result: null })
  })

  test('canceled while running → canceled, a second cancel is refused', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    await dev.reaches(execution.id, 'running')
    const path = `/v1/executions/${execution.id}/cancel`
    expect((await dev.call(path, { body: { reason: 'changed my mind' } })).status).toBe(202)
    await dev.reaches(execution.id, 'canceled')
    expect(await dev.temporal.describe(execution.id)).toMatchObject({ status: 'CANCELED' })
    problem(await dev.call(path, { body: {} }), 409, 'already_closed')
  })

  test('running → the workflow is told its decision, trigger and target', async () => {
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

  test('workflow_type set → that function runs', async () => {
    const execution = await dev.ran('named')
    expect(execution).toMatchObject({ workflow: 'named', result: 'another' })
    expect(await dev.temporal.describe(execution.id)).toMatchObject({ type: 'byAnotherName' })
  })

  test("started → Temporal's memo has decision, workflow and target", async () => {
    const { execution } = await dev.started('command', { target: web1, input: { name: 'where' } })
    const run = await dev.temporal.describe(execution.id)
    expect(run?.memo).toEqual({ decision: execution.id, workflow: 'command', target: expect.objectContaining(web1) })
  })
})

describe('lists', () => {
  test('executions in pages of 2 → newest first, each exactly once', async () => {
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

  test('no limit given → 50 items', async () => {
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
  ])('executions filtered by %s=%s → exactly those that match', async (key, value, fits) => {
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
  ])('decisions filtered by %s=%s → exactly those that match', async (key, value, fits) => {
    const { status, body } = await dev.call<List<Decision>>(`/v1/decisions?${key}=${value}&limit=500`)
    expect(status).toBe(200)
    expect(body.items.length).toBeGreaterThan(0)
    expect(body.items.every(fits)).toBe(true)
    const all = (await dev.call<List<Decision>>('/v1/decisions?limit=500')).body.items
    expect(body.items).toHaveLength(all.filter(fits).length)
  })

  test('decisions since a time → only those after it', async () => {
    const since = new Date().toISOString()
    const { decision } = await dev.started('nap')
    const { body } = await dev.call<List<Decision>>(`/v1/decisions?since=${since}`)
    expect(body.items.map(({ id }) => id)).toEqual([decision.id])
  })

  test('filters that match nothing → empty list', async () => {
    for (const query of ['workflow=no-such', 'node=no-such', 'status=lost', 'workflow=quota&node=web-1']) {
      expect((await dev.call<List<Execution>>(`/v1/executions?${query}`)).body).toEqual({
        items: [],
        next_cursor: null,
      })
    }
    expect((await dev.call<List<Decision>>('/v1/decisions?caller=spiffe://a/b')).body.items).toEqual([])
  })

  test("same key from the operator's socket → another caller, another execution", async () => {
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

  test('workflows → each constraint with its present usage', async () => {
    const { body } = await dev.call<List<{ constraints: ConstraintUse[] }>>('/v1/workflows?limit=500')
    const ofQuota = body.items.filter((item) => JSON.stringify(item).includes('"quota"'))
    expect(ofQuota).toHaveLength(1)
    expect(ofQuota[0]?.constraints).toMatchObject([{ kind: 'maxExecution', limit: 3, used: 3 }])
    expect(await constraintsOf('quota')).toMatchObject([{ kind: 'maxExecution', limit: 3, used: 3 }])
    expect(await constraintsOf('single')).toMatchObject([{ kind: 'concurrency', limit: 1 }])
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

  test('live → listed, and shown one by one', async () => {
    expect(await names()).toEqual(['web-1', 'db-1'])
    const { status, body } = await dev.call('/v1/nodes/web-1')
    expect(status).toBe(200)
    expect(body).toMatchObject({ datacenter: 'dc1', types: ['web'], version: resile.version, outdated: false })
    expect((await dev.call('/v1/nodes/web-9')).status).toBe(404)
  })

  test('one heartbeat → live for 15 s, or until it drains', async () => {
    expect((await beat('guest-1')).status).toBe(204)
    expect((await dev.call('/v1/nodes/guest-1')).body).toMatchObject({ version: null, outdated: true })
    expect((await beat('guest-1', { version: '0.0.9' })).status).toBe(204)
    expect((await dev.call('/v1/nodes/guest-1')).body).toMatchObject({ version: '0.0.9', outdated: true })
    expect((await beat('guest-2')).status).toBe(204)
    const since = Date.now()
    expect(await names()).toEqual(['web-1', 'db-1', 'guest-1', 'guest-2'])
    expect((await beat('guest-2', { draining: true })).status).toBe(204)
    const draining = await evaluate('command', { target: { node: 'guest-2' }, input: { name: 'where' } })
    expect(draining.body.decision).toMatchObject({ code: 'no_worker' })
    // When it was last requested and live: however long an answer takes, the time must not be later than that.
    let lastLive = since
    const isDead = async () => {
      const asked = Date.now()
      const isLive = (await names()).includes('guest-1')
      if (isLive) lastLive = asked
      return !isLive
    }
    await until('the node is dead', isDead)
    expect(Date.now() - since).toBeGreaterThan(14_000)
    expect(lastLive - since).toBeLessThan(17_000)
  })
})

describe('metrics', () => {
  test('after decisions of all kinds → counters agree', async () => {
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
