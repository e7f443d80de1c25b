import { abortAllDurableObjects } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alarmNow, execution, request, sql, start } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

const on = (node: string): object => ({ target: { node } })

describe('exclusive', () => {
  it('open on a node → nothing else starts there, other nodes unaffected', async () => {
    const alone = await start('alone', {}, on('web-1'))
    expect(alone.status).toBe(201)
    expect(await start('free', {}, on('web-1'))).toMatchObject({
      status: 429,
      body: {
        decision: {
          allowed_at: null,
          constraints: [{ kind: 'exclusive', scope: 'node', key: 'web-1', limit: 1, used: 1, binding: true }],
        },
      },
    })
    expect((await start('alone', {}, on('web-1'))).status).toBe(429)
    expect((await start('free', {}, on('web-2'))).status).toBe(201)
    temporal.close(alone.body.execution.id, 'COMPLETED')
    await alarmNow()
    expect((await start('free', {}, on('web-1'))).status).toBe(201)
  })

  it('something open on the node → denied', async () => {
    await start('free', {}, on('web-1'))
    expect((await start('alone', {}, on('web-1'))).status).toBe(429)
    expect((await start('alone', {}, on('web-2'))).status).toBe(201)
  })

  it('two at once → one starts', async () => {
    const answers = await Promise.all([start('alone'), start('free'), start('alone'), start('free')])
    const [first] = answers
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(first.status === 201 ? 1 : 2)
  })

  it('execution from before the workflow became exclusive → counts as exclusive', async () => {
    await start('alone', {}, on('web-1'))
    await sql("UPDATE executions SET exclusive = 0, limits = '[]'")
    expect((await start('free', {}, on('web-1'))).status).toBe(429)
  })
})

describe('maxUnavailable', () => {
  const nodes = Array.from({ length: 30 }, (_, index) => `n-${String(index).padStart(2, '0')}`)

  /** Lets time pass until the rosters know who lives. */
  async function grown(alive: readonly string[] = nodes): Promise<void> {
    vi.setSystemTime(Date.now() + 16_000)
    for (const node of alive) {
      await request('PUT', `/v1/nodes/${node}`, {
        datacenter: 'dc1',
        types: ['app'],
        queues: [
          { name: 'dc1', workflow_types: ['careful', 'free'], activity_types: [] },
          { name: `dc1:node:${node}`, activity_types: ['runCommand'] },
        ],
      })
    }
  }

  it('live nodes unknown → not judged', async () => {
    expect(await start('careful')).toMatchObject({ status: 503, body: { code: 'starting' } })
    expect((await start('careful')).headers.get('retry-after')).toBe('5')
  })

  it('10% of 30 nodes → three at once, of any workflow', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await grown()
    const at = await Promise.all(nodes.map((node) => start('careful', {}, on(node))))
    expect(at.filter(({ status }) => status === 201)).toHaveLength(3)
    expect(at.find(({ status }) => status === 429)?.body.decision.constraints).toMatchObject([
      { kind: 'maxUnavailable', scope: 'node_type', key: 'app', limit: 3, used: 3, binding: true },
    ])
  })

  it('other workflows and a dead node → counted, two more start', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await grown()
    await grown(nodes.slice(1))
    const at = await Promise.all(nodes.slice(1).map((node) => start('careful', {}, on(node))))
    expect(at.filter(({ status }) => status === 201)).toHaveLength(2)
  })

  it('node without a type → denied', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await grown()
    await request('PUT', '/v1/nodes/odd', {
      datacenter: 'dc1',
      queues: [{ name: 'dc1:node:odd', activity_types: ['runCommand'] }],
    })
    expect(await start('careful', {}, on('odd'))).toMatchObject({
      status: 429,
      body: {
        decision: { allowed_at: null, constraints: [{ kind: 'maxUnavailable', allowed: false, binding: true }] },
      },
    })
  })

  it('restart → dead node still counted', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await grown()
    await abortAllDurableObjects()
    await request('GET', '/v1/nodes')
    await grown(nodes.slice(3))
    expect((await start('careful', {}, on('n-10'))).body.decision.constraints).toMatchObject([{ used: 3 }])
    expect((await request('POST', '/v1/nodes/n-00/forget')).status).toBe(204)
    expect((await request('POST', '/v1/nodes/n-00/forget')).status).toBe(404)
    expect((await start('careful', {}, on('n-10'))).body.decision.constraints).toMatchObject([{ used: 2, limit: 2 }])
  })
})

describe('maxFailure', () => {
  async function fail(workflow: string, node: string, status: 'FAILED' | 'TIMED_OUT' | 'TERMINATED'): Promise<void> {
    const { id } = (await start(workflow, {}, on(node))).body.execution
    temporal.close(id, status, 'broken')
    await alarmNow()
    expect((await execution(id)).closed_at).not.toBeNull()
  }

  it('limit reached → tripped until reset, however long', async () => {
    await fail('fragile', 'web-1', 'FAILED')
    await fail('fragile', 'web-2', 'TERMINATED')
    // The window has moved on; nobody asked meanwhile.
    await sql('UPDATE failures SET at = at - 7200000')
    expect(await start('fragile')).toMatchObject({
      status: 429,
      body: {
        detail: expect.stringContaining('reset'),
        decision: { allowed_at: null, constraints: [{ kind: 'maxFailure', limit: 2, used: 2, binding: true }] },
      },
    })
    expect(String((await request('GET', '/metrics')).body.answer)).toContain(
      'resile_max_failure_tripped{datacenter="dc1",scope="fragile"} 1',
    )
    expect(await request('POST', '/v1/workflows/fragile/reset', { reason: 'the disk was full' })).toMatchObject({
      status: 200,
      body: { constraints: [{ used: 0, allowed: true }, {}] },
    })
    expect((await start('fragile')).status).toBe(201)
  })

  it('completed, canceled or old executions → not counted', async () => {
    await fail('fragile', 'web-1', 'TIMED_OUT')
    await sql('UPDATE failures SET at = at - 7200000')
    await fail('fragile', 'web-1', 'FAILED')
    for (const status of ['COMPLETED', 'CANCELED'] as const) {
      temporal.close((await start('fragile')).body.execution.id, status)
      await alarmNow()
    }
    expect((await start('fragile')).status).toBe(201)
  })

  it('per node → trips and resets per node', async () => {
    await fail('fragile-node', 'web-1', 'FAILED')
    expect((await start('fragile-node', {}, on('web-1'))).status).toBe(429)
    expect((await start('fragile-node', {}, on('web-2'))).status).toBe(201)
    await request('POST', '/v1/workflows/fragile-node/reset', { reason: 'x', node: 'web-2' })
    expect((await start('fragile-node', {}, on('web-1'))).status).toBe(429)
    await request('POST', '/v1/workflows/fragile-node/reset', { reason: 'x' })
    expect((await start('fragile-node', {}, on('web-1'))).status).toBe(201)
  })

  it('reset of a workflow without it → refused', async () => {
    const reset = (workflow: string, body: object) => request('POST', `/v1/workflows/${workflow}/reset`, body)
    expect(await reset('free', { reason: 'x' })).toMatchObject({ status: 400 })
    expect(await reset('fragile', { reason: 'x', node: 'web-1' })).toMatchObject({
      body: { errors: [{ path: '/node' }] },
    })
    expect(await reset('fragile', {})).toMatchObject({ status: 400, body: { errors: [{ path: '/reason' }] } })
    expect((await reset('nothing', { reason: 'x' })).status).toBe(404)
  })
})
