import { abortAllDurableObjects, env, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Answer } from '../testing/coordinator.ts'
import {
  alarm,
  alarmNow,
  execution,
  ledger,
  request,
  sendHeartbeats,
  start,
  startPending,
} from '../testing/coordinator.ts'
import { cleanUp } from '../testing/fresh.ts'
import { failing } from '../testing/global-ledger.ts'
import { FakeTemporal } from '../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = new FakeTemporal()
  temporal.install()
  await sendHeartbeats(['web-1'])
  await sendHeartbeats(['web-9'], 'dc2')
})
afterEach(cleanUp)

const here = (workflow: string, headers: Record<string, string> = {}): Promise<Answer> => start(workflow, headers)
const there = (workflow: string, headers: Record<string, string> = {}): Promise<Answer> =>
  start(workflow, headers, { target: { node: 'web-9' } })

it('global limit: a hundred triggers at once over two datacenters → as many start as the limit allows', async () => {
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? here : there)('both', { prefer: 'wait=30' })),
  )
  const outcomes = answers.map(({ status, body }) => (status === 201 ? status : `${status} ${body.code}`))
  expect(outcomes.filter((outcome) => outcome !== '429 constraint_denied')).toEqual([201, 201, 201])
  expect(temporal.executions.size).toBe(3)
  for (const { body, status } of answers) {
    if (status === 201) continue
    expect(body.decision.constraints).toHaveLength(2)
    expect(body.decision.constraints[1]).toMatchObject({ scope: 'global', key: 'global', limit: 3 })
    expect(body.decision.constraints.filter(({ binding }) => binding)).toHaveLength(1)
  }
})

it('global limit: execution ends in one datacenter → admits another in the other', async () => {
  const { id } = (await here('everywhere-once-open')).body.execution
  expect(await there('everywhere-once-open')).toMatchObject({ status: 429, body: { decision: { allowed_at: null } } })
  temporal.close(id, 'COMPLETED')
  await alarmNow()
  await alarmNow()
  expect((await there('everywhere-once-open')).status).toBe(201)
})

it('global limit: execution that provably never started → not counted', async () => {
  temporal.fault = 'unreachable'
  const { id } = (await startPending('global')).body.execution
  expect((await there('global')).status).toBe(429)
  await request('POST', `/v1/executions/${id}/cancel`)
  temporal.fault = 'none'
  await alarmNow()
  await alarmNow()
  expect((await there('global')).status).toBe(201)
})

it.each([true, false])(
  'unreachable (before it was done: %s): denied, recorded, and later as if it had not been',
  async (before) => {
    const broken = failing('reserve', { before })
    const denied = await here('global', { 'idempotency-key': 'k' })
    expect(denied).toMatchObject({ status: 503, body: { code: 'ledger_unavailable', decision: { outcome: 'denied' } } })
    expect((await request('GET', `/v1/decisions/${denied.body.decision.id}`)).body).toMatchObject({
      code: 'ledger_unavailable',
    })
    expect((await request('GET', '/v1/executions')).body.items).toEqual([])
    expect(temporal.executions.size).toBe(0)
    broken.mockRestore()
    await alarmNow()
    // The key was bound by nothing, and the reservation that may have been made is void.
    expect((await there('global')).status).toBe(201)
    expect((await here('global', { 'idempotency-key': 'k' })).status).toBe(429)
  },
)

it('reservation: received after it was given up → refused', async () => {
  const stub = (env as unknown as Env).GLOBAL_LEDGER.getByName('global')
  const question = { workflow: 'global', constraints: [], datacenters: ['dc1', 'dc2'], at: 1, clock: 1 }
  await stub.report('x', 'dc1', { startedAt: null, closedAt: 1, attempt: 1, sequence: 1 })
  expect(await stub.reserve({ id: 'x', datacenter: 'dc1', attempt: 1 }, question)).toMatchObject({ kind: 'void' })
  expect(await stub.reserve({ id: 'x', datacenter: 'dc1', attempt: 2 }, question)).toMatchObject({ kind: 'reserved' })
})

it('usage report: received late → changes nothing', async () => {
  const stub = (env as unknown as Env).GLOBAL_LEDGER.getByName('everywhere-once-open')
  const once = { kind: 'concurrency', value: 1, is_global: true } as const
  const question = { workflow: 'everywhere-once-open', constraints: [once], datacenters: ['dc1'], at: 5, clock: 5 }
  const used = async (): Promise<unknown> => ((await stub.judge(question)) as { judgements: unknown[] }).judgements[0]
  expect(await stub.reserve({ id: 'x', datacenter: 'dc1', attempt: 1 }, question)).toMatchObject({ kind: 'reserved' })
  // Reserved again by a later attempt, it doesn't count against itself, and the void of the earlier one means nothing.
  expect(await stub.reserve({ id: 'x', datacenter: 'dc1', attempt: 2 }, question)).toMatchObject({
    kind: 'reserved',
    judgements: [{ used: 0 }],
  })
  await stub.report('x', 'dc1', { startedAt: null, closedAt: 1, attempt: 1, sequence: 1 })
  expect(await used()).toMatchObject({ used: 1 })
  await stub.report('x', 'dc1', { startedAt: 1, closedAt: 2, attempt: 2, sequence: 3 })
  await stub.report('x', 'dc1', { startedAt: 1, closedAt: null, attempt: 2, sequence: 2 })
  expect(await used()).toMatchObject({ used: 0 })
})

it('reservation: its ledger lost its rows → counts until nothing of it can start', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  temporal.fault = 'unreachable'
  await startPending('global')
  await runInDurableObject(ledger(), (_, { storage }) => {
    for (const table of ['executions', 'usage_reports', 'drafts']) storage.sql.exec(`DELETE FROM ${table}`)
  })
  temporal.fault = 'none'
  await abortAllDurableObjects()
  await sendHeartbeats(['web-9'], 'dc2')
  expect((await there('global')).status).toBe(429)
  vi.setSystemTime(Date.now() + 3 * 3_600_000)
  await sendHeartbeats(['web-9'], 'dc2')
  expect((await there('global')).status).toBe(201)
  vi.useRealTimers()
})

it('reservation: during an approval → execution still exists', async () => {
  const { id } = (await here('asked-everywhere')).body.execution
  const silent = failing('reserve', { before: true, hangs: true })
  const approving = request('POST', `/v1/executions/${id}/approve`)
  await vi.waitFor(async () => {
    const rows = await runInDurableObject(ledger(), (_, { storage }) =>
      storage.sql.exec("SELECT id FROM executions WHERE phase = 'reserving'").toArray(),
    )
    expect(rows).toHaveLength(1)
  })
  expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
  expect((await request('GET', '/v1/executions')).body.items).toHaveLength(1)
  await alarmNow()
  expect(await approving).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } })
  expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
  silent.mockRestore()
})

it('reservation: coordinator killed before admission → recorded, and not counted', async () => {
  const silent = failing('reserve', { before: true, hangs: true })
  const asked = here('global').catch(() => undefined)
  await vi.waitFor(async () => {
    const [row] = await runInDurableObject(ledger(), (_, { storage }) =>
      storage.sql.exec("SELECT id FROM executions WHERE phase = 'reserving'").toArray(),
    )
    expect(row).toBeDefined()
  })
  silent.mockRestore()
  await abortAllDurableObjects()
  await asked
  await sendHeartbeats(['web-1'])
  await alarmNow()
  const { items } = (await request('GET', '/v1/decisions')).body as unknown as { items: Record<string, unknown>[] }
  expect(items).toMatchObject([{ outcome: 'denied', code: 'ledger_unavailable' }])
  await alarmNow()
  expect((await here('global')).status).toBe(201)
})

it('idempotency: twenty triggers at once with one key → one admitted, all answered so', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => here('both', { 'idempotency-key': 'one' })))
  expect(new Set(answers.map(({ body }) => body.execution.id)).size).toBe(1)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(19)
})

it('limit becomes global → counts what ran before in every datacenter', async () => {
  // What "free" did is what "both" would have done before it had a global limit.
  for (const start of [here, there, here]) expect((await start('free')).status).toBe(201)
  for (const datacenter of ['dc1', 'dc2']) {
    await runInDurableObject(ledger(datacenter), (_, { storage }) => {
      storage.sql.exec("UPDATE executions SET workflow = 'both'")
      storage.sql.exec("UPDATE starts SET scope = replace(scope, 'free', 'both')")
    })
  }
  expect(await there('both')).toMatchObject({
    status: 429,
    body: { decision: { constraints: [{ used: 1 }, { scope: 'global', used: 3, binding: true }] } },
  })
})

it('usage reports: not acknowledged → sent again', async () => {
  const broken = failing('report', { before: true })
  const { id } = (await here('everywhere-once-open')).body.execution
  temporal.close(id, 'COMPLETED')
  await alarmNow()
  await alarmNow()
  expect(await execution(id)).toMatchObject({ status: 'completed' })
  expect((await there('everywhere-once-open')).status).toBe(429)
  expect(String((await request('GET', '/metrics')).body.answer)).toContain('resile_settlements_pending 1')
  broken.mockRestore()
  await alarmNow()
  expect((await there('everywhere-once-open')).status).toBe(201)
})

it('approval: reservation denied or unanswered → still waiting', async () => {
  const waiting = (await here('asked-everywhere')).body.execution
  const approve = () => request('POST', `/v1/executions/${waiting.id}/approve`, {}, { prefer: 'wait=1' })
  const broken = failing('reserve', { before: false })
  expect((await approve()).status).toBe(503)
  expect(await execution(waiting.id)).toMatchObject({ status: 'awaiting_approval' })
  broken.mockRestore()
  await alarmNow()
  expect(await approve()).toMatchObject({ status: 201, body: { decision: { id: waiting.id, outcome: 'admitted' } } })
  const second = (await there('asked-everywhere')).body
  expect(second).toMatchObject({ code: 'constraint_denied' })
  await alarm('dc2')
})
