import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decisionSchema, executionSchema, nodeSchema, problemSchema } from '../../shared/wire.ts'
import { config } from '../config.ts'
import { request, sendHeartbeats, start } from '../testing/coordinator.ts'
import { cleanUp } from '../testing/fresh.ts'
import { FakeTemporal } from '../testing/temporal.ts'
import { ROUTES } from './index.ts'

beforeEach(async () => {
  new FakeTemporal().install()
  await sendHeartbeats()
})
afterEach(cleanUp)

const items = async (path: string): Promise<Record<string, unknown>[]> =>
  (await request('GET', path)).body.items as Record<string, unknown>[]

describe('shapes of answers', () => {
  it('decisions, executions, nodes and problems → as the contract names them', async () => {
    const admitted = await start('thrice', {}, { target: { node: 'web-1' }, trigger: { source: 's' }, reason: 'r' })
    decisionSchema.parse(admitted.body.decision)
    executionSchema.parse(admitted.body.execution)
    nodeSchema.parse((await request('GET', '/v1/nodes/web-1')).body)
    decisionSchema.parse((await request('GET', `/v1/decisions/${admitted.body.decision.id}`)).body)
    executionSchema.parse((await request('GET', `/v1/executions/${admitted.body.execution.id}`)).body)
    const denied = await start('free', {}, { target: { node: 'gone' } })
    expect(denied.headers.get('content-type')).toBe('application/problem+json')
    problemSchema.parse(denied.body)
    problemSchema.parse((await request('GET', '/nowhere')).body)
  })

  it('/openapi.json → requests to receivers', async () => {
    const { webhooks } = (await request('GET', '/openapi.json')).body
    const schema = { properties: { type: { enum: expect.arrayContaining(['execution.failed', 'execution.lost']) } } }
    expect(webhooks).toMatchObject({
      escalation: { post: { requestBody: { content: { 'application/json': { schema } } } } },
    })
  })

  it('/openapi.json → every schema it refers to', async () => {
    const document = (await request('GET', '/openapi.json')).body as unknown as { components: { schemas: object } }
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    )
    expect(references).toContain('Problem')
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(references))
  })

  it('/openapi.json → every route with every method', async () => {
    const { paths } = (await request('GET', '/openapi.json')).body as unknown as { paths: Record<string, object> }
    for (const { method, path } of ROUTES) {
      expect(paths[path.replace(/:(\w+)/g, '{$1}')]).toHaveProperty(method.toLowerCase())
    }
  })
})

describe('lists', () => {
  it('many items → newest first, in pages', async () => {
    const ids: string[] = []
    for (let index = 0; index < 5; index++) ids.unshift((await start('free')).body.execution.id)
    const first = (await request('GET', '/v1/executions?limit=2')).body
    expect((first.items as { id: string }[]).map(({ id }) => id)).toEqual(ids.slice(0, 2))
    const second = (await request('GET', `/v1/executions?limit=3&cursor=${String(first.next_cursor)}`)).body
    expect((second.items as { id: string }[]).map(({ id }) => id)).toEqual(ids.slice(2))
    expect(second.next_cursor).toBeNull()
  })

  it('large items → shorter pages, none lost', async () => {
    const reason = 'x'.repeat(60_000)
    for (let index = 0; index < 100; index++) await start('thrice', {}, { target: { node: 'web-1' }, reason })
    const seen: unknown[] = []
    let cursor: unknown = ''
    for (let page = 0; cursor !== null && page < 10; page++) {
      const { body } = await request(
        'GET',
        `/v1/decisions?limit=500${cursor === '' ? '' : `&cursor=${String(cursor)}`}`,
      )
      const list = body.items as { id: string }[]
      expect(list.length).toBeLessThan(100)
      seen.push(...list.map(({ id }) => id))
      cursor = body.next_cursor
    }
    expect(new Set(seen).size).toBe(100)
    expect(seen).toHaveLength(100)
  })

  it('filters → matching items only', async () => {
    await start('free', {}, { target: { node: 'web-1' } })
    await start('thrice', {}, { target: { node: 'web-2' } })
    await start('thrice', {}, { target: { node: 'nobody' } })
    expect(await items('/v1/executions?workflow=thrice')).toHaveLength(1)
    expect(await items('/v1/executions?node=web-1&status=running')).toHaveLength(1)
    expect(await items('/v1/executions?status=failed')).toHaveLength(0)
    expect(await items('/v1/executions?datacenter=elsewhere')).toHaveLength(0)
    expect(await items('/v1/decisions?outcome=denied')).toMatchObject([{ code: 'no_worker' }])
    expect(await items('/v1/decisions?caller=anonymous&workflow=thrice')).toHaveLength(2)
    expect(await items(`/v1/decisions?since=${new Date(Date.now() + 60_000).toISOString()}`)).toHaveLength(0)
  })

  it('lists by name → names as cursors', async () => {
    const { body } = await request('GET', '/v1/nodes?limit=1')
    expect(body).toMatchObject({ items: [{ node: 'web-1' }], next_cursor: 'web-1' })
    expect(await items('/v1/nodes?cursor=web-1')).toMatchObject([{ node: 'web-2' }])
  })

  it.each([
    '/v1/executions?limit=0',
    '/v1/executions?limit=501',
    '/v1/executions?limit=x',
    '/v1/executions?cursor=1',
    '/v1/executions?status=odd',
    '/v1/executions?color=red',
    '/v1/executions?limit=1&limit=2',
    '/v1/decisions?since=yesterday',
    '/v1/decisions?outcome=odd',
    '/v1/nodes?cursor=A',
  ])('%s → refused', async (path) => {
    expect(await request('GET', path)).toMatchObject({
      status: 400,
      body: { code: 'bad_request', errors: [{ path: expect.stringMatching(/^\//) }] },
    })
  })
})

describe('workflows', () => {
  it('listed → each constraint with its usage', async () => {
    await start('thrice')
    expect((await request('GET', '/v1/workflows/thrice')).body).toMatchObject({
      name: 'thrice',
      workflow_type: 'thrice',
      constraints: [
        { kind: 'maxExecution', key: 'dc1', limit: 3, period: '24h', used: 1, allowed: true },
        { kind: 'maxExecution', key: 'dc2', used: 0 },
      ],
    })
    expect((await request('GET', '/v1/workflows/per-node')).body).toMatchObject({
      constraints: [
        { scope: 'node', key: null, used: 0 },
        { scope: 'node', key: null, used: 0 },
      ],
    })
    await start('per-node')
    expect((await request('GET', '/v1/workflows/per-node')).body).toMatchObject({
      constraints: [
        { scope: 'node', key: 'web-1', used: 1, allowed: false },
        { scope: 'node', key: null, used: 0 },
      ],
    })
    await start('global')
    expect((await request('GET', '/v1/workflows/global')).body).toMatchObject({
      constraints: [{ scope: 'global', key: 'global', used: 1, allowed: false, is_global: true }],
    })
    expect((await request('GET', '/v1/workflows/careful')).body).toMatchObject({
      constraints: [{ kind: 'maxUnavailable', value: '10%' }, {}, {}],
    })
    expect(await items('/v1/workflows')).toHaveLength(Object.keys(config.workflows).length)
  })
})

describe('unknown things', () => {
  it.each([
    ['GET', '/v1/workflows/absent', 404, 'unknown_workflow'],
    ['POST', '/v1/workflows/a%2Fb/executions', 404, 'not_found'],
    ['POST', '/v1/workflows/A/executions', 404, 'unknown_workflow'],
    ['GET', '/v1/executions/x', 404, 'not_found'],
    ['GET', '/v1/events', 404, 'not_found'],
    ['DELETE', '/v1/nodes/web-1', 405, 'method_not_allowed'],
    ['GET', '/v1/workflows/thrice/executions', 405, 'method_not_allowed'],
    ['OPTIONS', '/v1/nodes', 405, 'method_not_allowed'],
    ['PUT', '/v1/nodes/..', 404, 'not_found'],
    ['PUT', '/v1/nodes/%F0%9F%98%80', 404, 'not_found'],
  ])('%s %s → %i %s', async (method, path, status, code) => {
    const answer = await request(method, path)
    expect(answer).toMatchObject({ status, body: { code } })
    expect(answer.headers.has('allow')).toBe(status === 405)
  })
})

it("API: any request → request id, the caller's own when it is safe", async () => {
  expect((await request('GET', '/healthz', undefined, { 'x-request-id': 'mine-1' })).headers.get('x-request-id')).toBe(
    'mine-1',
  )
  expect((await request('GET', '/nowhere')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(
    (await request('POST', '/v1/workflows/free/executions', 'x'.repeat(70_000))).headers.get('x-request-id'),
  ).toBeTruthy()
})

it('API: HEAD → a GET without a body', async () => {
  expect(await request('HEAD', '/v1/nodes')).toMatchObject({ status: 200, body: { answer: '' } })
})

it('readiness: Temporal unreachable → ready, and reported', async () => {
  vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('connection refused'))
  expect(await request('GET', '/readyz')).toMatchObject({
    status: 200,
    body: { status: 'ready', temporal: { ok: false } },
  })
})
