import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { alarm, request, sendHeartbeats, start } from '../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../testing/fresh.ts'
import type { FakeTemporal } from '../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

describe('start', () => {
  it("allowed → 201 with decision and execution, one workflow with the contract's memo", async () => {
    const { status, headers, body } = await start(
      'free',
      {},
      { target: { node: 'web-1' }, input: { a: 1 }, reason: 'why', trigger: { source: 'test' } },
    )
    expect(status).toBe(201)
    expect(headers.get('location')).toBe(`/v1/executions/${body.execution.id}`)
    expect(body.decision).toMatchObject({
      id: body.execution.id,
      outcome: 'admitted',
      code: null,
      caller: 'anonymous',
      task_queue: 'dc1:node:web-1',
      reason: 'why',
      trigger: { source: 'test' },
    })
    expect(body.execution).toMatchObject({
      status: 'running',
      workflow_id: body.execution.id,
      target: { node: 'web-1' },
      run_id: expect.any(String),
    })
    expect(temporal.starts).toEqual([{ workflowId: body.execution.id, requestId: body.execution.id, type: 'free' }])
    const sent = temporal.executions.get(body.execution.id)?.body as {
      taskQueue: { name: string }
      memo: { fields: { resile: { data: string } } }
    }
    expect(sent.taskQueue.name).toBe('dc1')
    expect(JSON.parse(atob(sent.memo.fields.resile.data))).toEqual({
      decision: body.execution.id,
      workflow: 'free',
      target: { node: 'web-1' },
    })
  })

  it.each([
    ['on-type', {}, 'dc1:type:database', 'dc1'],
    ['on-type', { target: { node_type: 'database' } }, 'dc1:type:database', 'dc1'],
    ['anywhere', {}, 'dc1', 'dc1'],
    ['anywhere', { target: { datacenter: 'dc1' } }, 'dc1', 'dc1'],
    ['free', { target: { node: 'web-2', datacenter: 'dc1' } }, 'dc1:node:web-2', 'dc1'],
  ])('%s with %j → runs on %s', async (workflow, body, taskQueue, workflowQueue) => {
    const answer = await start(workflow, {}, body)
    expect(answer.status).toBe(201)
    expect(answer.body.execution.task_queue).toBe(taskQueue)
    expect(temporal.executions.get(answer.body.execution.id)?.body.taskQueue).toMatchObject({ name: workflowQueue })
  })

  it('input defaults → filled in', async () => {
    const { body } = await start('typed', {}, { target: { node: 'web-1' }, input: { unit: 'nginx' } })
    const sent = temporal.executions.get(body.execution.id)?.body as { input: { payloads: { data: string }[] } }
    expect(JSON.parse(atob(sent.input.payloads[0]?.data ?? ''))).toEqual({ unit: 'nginx', count: 2 })
  })
})

describe('constraints', () => {
  it('fifty at once, limit three → three 201, others 429 with receipt and Retry-After', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => start('thrice', { prefer: 'wait=30' })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3)
    const denied = answers.filter(({ status }) => status === 429)
    expect(denied).toHaveLength(47)
    for (const { body, headers } of denied) {
      expect(body).toMatchObject({
        code: 'constraint_denied',
        decision: {
          outcome: 'denied',
          constraints: [
            { kind: 'maxExecution', limit: 3, used: 3, binding: true, period: '24h', scope: 'datacenter', key: 'dc1' },
          ],
        },
      })
      expect(Math.abs(Number(headers.get('retry-after')) - 86_400)).toBeLessThanOrEqual(60)
    }
    expect(temporal.executions.size).toBe(3)
  })

  it('concurrency → no allowed_at, next admitted when the first ends', async () => {
    const first = await start('single')
    const second = await start('single')
    expect(second).toMatchObject({
      status: 429,
      body: { decision: { allowed_at: null, constraints: [{ kind: 'concurrency', used: 1 }] } },
    })
    expect(second.headers.get('retry-after')).toBeNull()
    temporal.close(first.body.execution.id, 'COMPLETED', { ok: true })
    await alarm()
    expect((await start('single')).status).toBe(201)
    expect((await request('GET', `/v1/executions/${first.body.execution.id}`)).body).toMatchObject({
      status: 'completed',
      result: { ok: true },
    })
  })

  it('per node → separate counts', async () => {
    expect((await start('per-node')).status).toBe(201)
    expect((await start('per-node')).body.decision.constraints[0]).toMatchObject({
      scope: 'node',
      key: 'web-1',
      used: 1,
    })
    expect((await start('per-node', {}, { target: { node: 'web-2' } })).status).toBe(201)
  })

  it('is_global with one datacenter → counted there, as global', async () => {
    await start('global')
    expect((await start('global', {}, { target: { node: 'web-2' } })).body.decision.constraints[0]).toMatchObject({
      scope: 'global',
      used: 1,
      binding: true,
    })
  })

  it('evaluate → changes nothing, also for a future time', async () => {
    const evaluate = (at?: string) =>
      request('POST', '/v1/workflows/thrice/evaluate', {
        target: { node: 'web-1' },
        ...(at === undefined ? {} : { at }),
      })
    expect((await evaluate()).body.decision).toMatchObject({ id: null, outcome: 'admitted' })
    for (let index = 0; index < 3; index++) await start('thrice')
    expect((await evaluate()).body.decision).toMatchObject({ outcome: 'denied', code: 'constraint_denied' })
    const tomorrow = new Date(Date.now() + 25 * 3_600_000).toISOString()
    expect((await evaluate(tomorrow)).body.decision).toMatchObject({ outcome: 'admitted', at: tomorrow })
    expect(await evaluate('2020-01-01T00:00:00Z')).toMatchObject({ status: 400, body: { errors: [{ path: '/at' }] } })
    expect((await request('GET', '/v1/decisions')).body.items).toHaveLength(3)
  })
})

describe('Idempotency-Key', () => {
  it('twenty at once → one execution in every answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => start('free', { 'idempotency-key': 'k' })))
    expect(new Set(answers.map(({ body }) => body.execution.id)).size).toBe(1)
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    const replays = answers.filter(({ status }) => status === 200)
    expect(replays).toHaveLength(19)
    for (const { headers } of replays) expect(headers.get('idempotent-replayed')).toBe('true')
    expect(temporal.executions.size).toBe(1)
  })

  it('equal parsed JSON → same body', async () => {
    await start('free', { 'idempotency-key': 'k' }, { target: { node: 'web-1' }, input: { a: 1, b: [] } })
    const same = '{"input": {"b":[],  "a":1.0}, "target":{"node":"web-1"}}'
    expect((await request('POST', '/v1/workflows/free/executions', same, { 'idempotency-key': 'k' })).status).toBe(200)
    expect(await start('free', { 'idempotency-key': 'k' })).toMatchObject({
      status: 409,
      body: { code: 'idempotency_conflict' },
    })
  })

  it('denial → not bound', async () => {
    const first = await start('single')
    expect((await start('single', { 'idempotency-key': 'k' })).status).toBe(429)
    temporal.close(first.body.execution.id, 'FAILED', 'boom')
    await alarm()
    expect((await start('single', { 'idempotency-key': 'k' })).status).toBe(201)
  })

  it('node gone → resend still found', async () => {
    await start('free', { 'idempotency-key': 'k' })
    await request('PUT', '/v1/nodes/web-1', { datacenter: 'dc1', draining: true, queues: [] })
    expect((await start('free', { 'idempotency-key': 'k' })).status).toBe(200)
    expect((await start('free', { 'idempotency-key': 'other' })).status).toBe(503)
  })
})

describe('routing', () => {
  it('node unknown, draining or without the queue → no_worker, recorded', async () => {
    expect(await start('free', {}, { target: { node: 'unknown-9' } })).toMatchObject({
      status: 503,
      body: { code: 'no_worker', decision: { outcome: 'denied', code: 'no_worker' } },
    })
    await request('PUT', '/v1/nodes/web-1', { datacenter: 'dc1', draining: true, queues: [{ name: 'dc1:node:web-1' }] })
    const answer = await start('free')
    expect(answer).toMatchObject({ status: 503, body: { code: 'no_worker' } })
    expect(answer.headers.get('retry-after')).toBe('5')
    expect((await request('GET', '/v1/decisions?code=no_worker')).body.items).toHaveLength(2)
  })

  it('type not registered → refused, not counted', async () => {
    for (const node of ['web-1', 'web-2']) {
      await request('PUT', `/v1/nodes/${node}`, {
        datacenter: 'dc1',
        queues: [{ name: 'dc1', workflow_types: [] }, { name: `dc1:node:${node}` }],
      })
    }
    expect(await start('thrice')).toMatchObject({ status: 503, body: { code: 'workflow_not_registered' } })
    await sendHeartbeats()
    expect((await start('thrice')).body.decision.constraints[0]).toMatchObject({ used: 0 })
  })

  it('heartbeat with an invalid hint → node stays live', async () => {
    const queues = [{ name: 'dc1:node:web-9' }]
    expect(
      (await request('PUT', '/v1/nodes/web-9', { datacenter: 'dc1', queues, closed: ['child-1', '../x'] })).status,
    ).toBe(204)
    expect((await request('GET', '/v1/nodes/web-9')).status).toBe(200)
  })

  it("heartbeat with another node's queue → refused", async () => {
    const answer = await request('PUT', '/v1/nodes/web-1', {
      datacenter: 'dc1',
      types: ['web'],
      queues: [{ name: 'dc1:node:web-2' }],
    })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: '/queues/0/name' }] } })
  })
})
