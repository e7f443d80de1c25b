import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alarmNow, execution, request, sendHeartbeats, sql, start, startPending } from '../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../testing/fresh.ts'
import type { FakeTemporal } from '../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

const freeze = (scope: object, more: object = {}) =>
  request('POST', '/v1/freezes', { scope, reason: 'maintenance', ...more })

describe('freeze', () => {
  it('covers a trigger → 423, recorded, with its end', async () => {
    const frozen = await freeze({ workflow: 'free', node: 'web-1' }, { for: '90s' })
    expect(frozen).toMatchObject({
      status: 201,
      body: { scope: { workflow: 'free', node: 'web-1' }, reason: 'maintenance', caller: 'anonymous' },
    })
    expect(frozen.headers.get('location')).toBe(`/v1/freezes/${String(frozen.body.id)}`)
    const denied = await start('free')
    expect(denied).toMatchObject({
      status: 423,
      body: {
        code: 'frozen',
        detail: expect.stringContaining('maintenance'),
        decision: { outcome: 'denied', code: 'frozen', freeze: frozen.body.id, allowed_at: frozen.body.expires_at },
      },
    })
    expect(Number(denied.headers.get('retry-after'))).toBeGreaterThan(80)
    expect((await request('GET', `/v1/decisions/${denied.body.decision.id}`)).status).toBe(200)
    expect((await start('free', {}, { target: { node: 'web-2' } })).status).toBe(201)
    expect((await start('thrice')).status).toBe(201)
  })

  it('of everything → holds until it is lifted; lifted twice → 404', async () => {
    await sendHeartbeats(['web-9'], 'dc2')
    const { id } = (await freeze({})).body
    const denied = await start('free', {}, { target: { node: 'web-9' } })
    expect(denied).toMatchObject({ status: 423, body: { decision: { allowed_at: null } } })
    expect(denied.headers.has('retry-after')).toBe(false)
    expect((await request('GET', '/v1/freezes')).body).toMatchObject({ items: [{ id }], next_cursor: null })
    expect((await request('DELETE', `/v1/freezes/${String(id)}`)).status).toBe(204)
    expect((await request('DELETE', `/v1/freezes/${String(id)}`)).status).toBe(404)
    expect((await start('free', {}, { target: { node: 'web-9' } })).status).toBe(201)
  })

  it('of one datacenter → other one unaffected', async () => {
    await sendHeartbeats(['web-9'], 'dc2')
    await freeze({ datacenter: 'dc2' })
    expect((await start('free')).status).toBe(201)
    expect((await start('free', {}, { target: { node: 'web-9' } })).status).toBe(423)
  })

  it('expired → admits again', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await freeze({}, { expires_at: new Date(Date.now() + 60_000).toISOString() })
    expect((await start('free')).status).toBe(423)
    vi.setSystemTime(Date.now() + 61_000)
    temporal.clockAhead = 0
    await sendHeartbeats()
    expect((await start('free')).status).toBe(201)
    expect((await request('GET', '/v1/freezes')).body.items).toEqual([])
  })

  it('pending start → held back; lifted → sent', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    const frozen = await freeze({ node: 'web-1' })
    temporal.fault = 'none'
    temporal.starts.length = 0
    await alarmNow()
    await alarmNow()
    expect(temporal.starts).toEqual([])
    expect(await execution(id)).toMatchObject({ status: 'pending', error: { type: 'Frozen' } })
    await request('DELETE', `/v1/freezes/${String(frozen.body.id)}`)
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running', error: null })
  })

  it('longer than valid_for → start voided, with the reason', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    await freeze({})
    temporal.fault = 'none'
    await alarmNow()
    await sql('UPDATE executions SET valid_until = 1 WHERE id = ?', id)
    await alarmNow()
    await alarmNow()
    expect(await execution(id)).toMatchObject({
      status: 'expired',
      error: { message: expect.stringContaining('freeze') },
    })
  })

  it.each([
    [{ scope: {}, reason: 'x', for: '1h', expires_at: '2999-01-01T00:00:00Z' }, '/expires_at'],
    [{ scope: {}, reason: 'x', expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
    [{ scope: {}, reason: 'x', for: '0s' }, '/for'],
    [{ scope: {}, reason: 'x', for: '99999999999h' }, '/for'],
    [{ scope: {} }, '/reason'],
    [{ reason: 'x' }, '/scope'],
    [{ scope: { workflow: 'typo' }, reason: 'x' }, '/scope/workflow'],
    [{ scope: { datacenter: 'mars' }, reason: 'x' }, '/scope/datacenter'],
    [{ scope: { node: 'A B' }, reason: 'x' }, '/scope/node'],
    [{ scope: { rack: 'r1' }, reason: 'x' }, '/scope/rack'],
  ])('%j → refused', async (body, path) => {
    expect(await request('POST', '/v1/freezes', body)).toMatchObject({ status: 400, body: { errors: [{ path }] } })
    expect((await request('GET', '/v1/freezes')).body.items).toEqual([])
  })
})

describe('mode approve', () => {
  const approve = (id: string, body: object = {}) => request('POST', `/v1/executions/${id}/approve`, body)

  it('triggered → waits, counts nothing, runs once approved', async () => {
    const answer = await start('asked', { 'idempotency-key': 'a' })
    const { id } = answer.body.execution
    expect(answer).toMatchObject({
      status: 202,
      body: { decision: { outcome: 'awaiting_approval', code: null }, execution: { status: 'awaiting_approval' } },
    })
    expect((await start('asked', { 'idempotency-key': 'a' })).body.execution.id).toBe(id)
    await alarmNow()
    expect(temporal.executions.size).toBe(0)
    expect((await request('GET', '/v1/workflows/asked')).body).toMatchObject({ constraints: [{ used: 0 }, {}] })
    expect(await approve(id, { reason: 'go' })).toMatchObject({
      status: 201,
      body: {
        decision: { id, outcome: 'admitted', approval: { caller: 'anonymous', reason: 'go' } },
        execution: { id, status: 'running' },
      },
    })
    expect((await request('GET', `/v1/decisions/${id}`)).body).toMatchObject({ outcome: 'admitted' })
    expect(await approve(id)).toMatchObject({ status: 409, body: { code: 'not_awaiting_approval' } })
    expect(temporal.executions.size).toBe(1)
  })

  it('approved twice at once → runs once', async () => {
    const { id } = (await start('asked')).body.execution
    const answers = await Promise.all([approve(id), approve(id), approve(id)])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
    expect(temporal.starts).toHaveLength(1)
  })

  it('denied at approval → still waiting', async () => {
    const [first, second] = [(await start('asked')).body.execution, (await start('asked')).body.execution]
    expect((await approve(first.id)).status).toBe(201)
    const denied = await approve(second.id)
    expect(denied).toMatchObject({ status: 429, body: { decision: { outcome: 'denied' } } })
    expect(denied.body.decision.id).not.toBe(second.id)
    expect(await execution(second.id)).toMatchObject({ status: 'awaiting_approval' })
    await freeze({})
    expect((await approve(second.id)).status).toBe(423)
  })

  it('rejected, canceled or expired → never starts', async () => {
    const ids: string[] = []
    for (let index = 0; index < 3; index++) ids.push((await start('asked')).body.execution.id)
    const [rejected = '', canceled = '', expired = ''] = ids
    expect(await request('POST', `/v1/executions/${rejected}/reject`, { reason: 'no' })).toMatchObject({
      status: 200,
      body: { status: 'rejected', error: { message: expect.stringContaining('no') } },
    })
    expect((await request('POST', `/v1/executions/${rejected}/reject`)).status).toBe(409)
    expect((await request('POST', `/v1/executions/${canceled}/cancel`)).body).toMatchObject({ status: 'canceled' })
    await sql('UPDATE executions SET valid_until = 1 WHERE id = ?', expired)
    expect((await approve(expired)).status).toBe(409)
    await alarmNow()
    expect(await execution(expired)).toMatchObject({ status: 'expired' })
    expect(temporal.starts).toEqual([])
    for (const id of ids) expect((await approve(id)).status).toBe(409)
    expect((await approve('01a1fd87-1ab3-749c-8831-cc78a8e48041')).status).toBe(404)
  })

  it('constraints used up → denied at once', async () => {
    expect((await approve((await start('asked')).body.execution.id)).status).toBe(201)
    expect((await start('asked')).status).toBe(429)
  })
})

describe('mode shadow', () => {
  it('triggered → recorded, nothing started, nothing counted', async () => {
    const first = await start('watched')
    expect(first).toMatchObject({
      status: 202,
      body: {
        decision: { outcome: 'shadowed', constraints: [{ used: 0, allowed: true }] },
        execution: { status: 'shadowed', started_at: null },
      },
    })
    expect((await start('watched')).body.decision).toMatchObject({
      outcome: 'shadowed',
      constraints: [{ used: 1, allowed: false, binding: true }],
    })
    await alarmNow()
    expect(temporal.starts).toEqual([])
    expect((await request('GET', '/v1/workflows/watched')).body).toMatchObject({ constraints: [{ used: 0 }, {}] })
  })
})
