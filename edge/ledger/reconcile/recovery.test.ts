import { abortAllDurableObjects, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { encodePayload } from '../../../shared/payload.ts'
import {
  alarm,
  alarmNow,
  execution,
  ledger,
  request,
  sendHeartbeats,
  sql,
  start,
  startPending,
} from '../../testing/coordinator.ts'
import { cleanUp, forgetAll, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { IMPORT } from './reconciler.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

type Fields = Record<string, unknown>

/** An id as a decision may have it. */
const FORGED = '01a1fd87-1ab3-749c-8831-cc78a8e48041'

/** Loses the disk: every Durable Object starts empty. */
async function loseDisk(): Promise<void> {
  await forgetAll()
}

/** Makes the next run of the alarm audit. */
async function auditNow(): Promise<void> {
  await abortAllDurableObjects()
  await sendHeartbeats()
  await alarm()
}

const list = async (query = ''): Promise<Record<string, unknown>[]> =>
  (await request('GET', `/v1/executions${query}`)).body.items as Record<string, unknown>[]

describe('ledger that lost its disk', () => {
  it('Temporal answers → imports before it admits', async () => {
    const running = (await start('single')).body.execution.id
    const done = await Promise.all([start('thrice'), start('thrice')])
    for (const { body } of done) temporal.close(body.execution.id, 'COMPLETED')
    await loseDisk()
    await sendHeartbeats()
    expect((await start('single')).status).toBe(429)
    expect((await start('thrice')).status).toBe(201)
    expect(await start('thrice')).toMatchObject({ status: 429, body: { decision: { constraints: [{ used: 3 }] } } })
    expect(await execution(running)).toMatchObject({
      id: running,
      workflow: 'single',
      status: 'running',
      target: { node: 'web-1' },
      task_queue: 'dc1:node:web-1',
    })
    temporal.close(running, 'COMPLETED')
    await alarmNow()
    expect((await start('single')).status).toBe(201)
  })

  it('Temporal does not answer → admits nothing', async () => {
    await start('single')
    await loseDisk()
    temporal.fault = 'unreachable'
    await sendHeartbeats()
    expect(await start('single')).toMatchObject({ status: 503, body: { code: 'starting' } })
    expect((await request('GET', '/readyz')).status).toBe(503)
    temporal.fault = 'none'
    expect((await start('single')).status).toBe(429)
  })

  it('Visibility lags → imported all the same', async () => {
    const [first, second] = [(await start('thrice')).body.execution.id, (await start('thrice')).body.execution.id]
    temporal.hidden.add(second)
    await loseDisk()
    IMPORT.pauseMs = 800
    setTimeout(() => temporal.hidden.clear(), 400)
    await sendHeartbeats()
    IMPORT.pauseMs = 0
    expect(await execution(first)).toMatchObject({ status: 'running' })
    expect((await start('thrice')).body.decision.constraints).toMatchObject([{ used: 2 }])
  })

  it('old rows restored → stops until the rest is imported', async () => {
    const { id } = (await start('single')).body.execution
    for (const table of ['executions', 'decisions', 'starts']) await sql(`DELETE FROM ${table}`)
    await auditNow()
    expect(await execution(id)).toMatchObject({ status: 'running', workflow: 'single' })
    expect((await start('single')).status).toBe(429)
  })
})

describe('rows saved before an approval', () => {
  it.each(['running', 'completed'])('restored, the execution is %s → counted as started', async (status) => {
    const { id } = (await start('asked')).body.execution
    const saved = await sql('SELECT * FROM executions')
    expect((await request('POST', `/v1/executions/${id}/approve`, { reason: 'x' })).status).toBe(201)
    if (status === 'completed') temporal.close(id, 'COMPLETED')
    const inserts = saved.map((row) => {
      const values = Object.values(row).map((value) =>
        value === null ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`,
      )
      return `INSERT INTO executions (${Object.keys(row).join(', ')}) VALUES (${values.join(', ')})`
    })
    // In one turn: an alarm would import what it misses.
    await sql(['DELETE FROM executions', 'DELETE FROM starts', ...inserts].join('; '))
    expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
    for (let audits = 0; audits < 3; audits += 1) await auditNow()
    expect(await execution(id)).toMatchObject({ status, started_at: expect.any(String) })
    const [row] = await sql('SELECT started_at, closed_at FROM executions')
    expect(row?.['closed_at'] !== null).toBe(status === 'completed')
    expect(await sql('SELECT scope, count(*) AS count FROM starts GROUP BY scope HAVING count > 1')).toEqual([])
    expect((await start('asked')).body.decision).toMatchObject({ code: 'constraint_denied' })
  })

  it('restored, the execution fails later → its failure counts', async () => {
    const { id } = (await start('asked')).body.execution
    await request('POST', `/v1/executions/${id}/approve`, { reason: 'x' })
    await sql(
      "UPDATE executions SET phase = 'waiting', status = 'awaiting_approval', open = 0, started_at = NULL; DELETE FROM starts",
    )
    await auditNow()
    temporal.close(id, 'FAILED', 'x')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'failed' })
    expect((await sql('SELECT * FROM failures')).length).toBeGreaterThan(0)
  })

  it('restored, somebody else has started its id → not taken for it', async () => {
    const { id } = (await start('asked')).body.execution
    temporal.startForeign(id, 'asked', 'dc1:node:web-1')
    await auditNow()
    expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
  })
})

describe('execution started without the coordinator', () => {
  it('types that no workflow has → one label for all of them', async () => {
    for (let index = 0; index < 30; index += 1) temporal.startForeign(`by-hand-${index}`, `madeUp${index}`, 'dc1')
    await auditNow()
    const text = String((await request('GET', '/metrics')).body.answer)
    expect(text).toContain('resile_executions_unadmitted_total{workflow="other"} 30')
    expect(text).not.toContain('madeUp')
  })

  it('found → listed without an id, counted, followed to its end', async () => {
    temporal.startForeign('by-hand', 'single', 'dc1')
    await auditNow()
    expect(await list()).toMatchObject([
      { id: null, workflow: 'single', workflow_id: 'by-hand', status: 'running', admitted_at: null },
    ])
    expect(String((await request('GET', '/metrics')).body.answer)).toContain(
      'resile_executions_unadmitted_total{workflow="single"} 1',
    )
    expect((await start('single')).status).toBe(429)
    temporal.close('by-hand', 'COMPLETED')
    await alarmNow()
    expect(await list()).toMatchObject([{ id: null, status: 'completed' }])
    expect((await start('single')).status).toBe(201)
  })

  it.each(['a/terminate', '..', 'a%2Fb', 'x"y'])('with the id %j is not taken for another path', async (id) => {
    temporal.startForeign(id, 'oddType', 'dc1:node:web-2')
    await auditNow()
    await alarmNow()
    expect(await list()).toMatchObject([{ workflow: 'oddType', workflow_id: id, target: { node: 'web-2' } }])
    expect(temporal.paths.filter((path) => path.includes(encodeURIComponent(id)))).toEqual([])
  })

  it.each(['by-hand', 'odd/id'])('(%s) and deleted again does not count for ever', async (id) => {
    temporal.startForeign(id, 'single', 'dc1')
    await auditNow()
    expect((await start('single')).status).toBe(429)
    temporal.executions.delete(id)
    await alarmNow()
    expect(await list()).toMatchObject([{ workflow_id: id, status: 'terminated' }])
    expect((await start('single')).status).toBe(201)
  })

  it('listed → pages with the others', async () => {
    for (const id of ['f1', 'f2', 'f3']) temporal.startForeign(id, 'free', 'dc1')
    await auditNow()
    const { body } = await request('GET', '/v1/executions?limit=2')
    const rest = await list(`?limit=2&cursor=${String(body.next_cursor)}`)
    const ids = [...(body.items as { workflow_id: string }[]), ...rest].map((item) => item.workflow_id)
    expect(ids.sort()).toEqual(['f1', 'f2', 'f3'])
  })

  it('with a proof of no key, on a queue of no datacenter → found', async () => {
    temporal.startForeign('hidden', 'single', 'private')
    const hidden = temporal.executions.get('hidden')
    if (hidden !== undefined) hidden.body.memo = { fields: { resile_proof: encodePayload('e30.e30.e30') } }
    await auditNow()
    expect(await list()).toMatchObject([{ id: null, workflow_id: 'hidden', task_queue: 'private' }])
  })

  it.each<[string, (genuine: Fields) => Fields]>([
    ['without a proof', () => ({ resile: encodePayload({ decision: FORGED, workflow: 'single' }) })],
    ["with another execution's proof", (genuine) => genuine],
    ['with a proof of no key', () => ({ resile_proof: encodePayload('e30.e30.e30') })],
  ])('forged memo %s → unadmitted, no rows lost', async (_, forge) => {
    const { id } = (await start('free')).body.execution
    const genuine = temporal.executions.get(id)?.body.memo as { fields: Fields } | undefined
    const memo = forge(genuine?.fields ?? {})
    temporal.startForeign(FORGED, 'single', 'dc1')
    const forged = temporal.executions.get(FORGED)
    if (forged !== undefined) forged.body.memo = { fields: memo }
    await auditNow()
    expect(await list('?workflow=single')).toMatchObject([{ id: null, workflow_id: FORGED, admitted_at: null }])
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })

  it("on a queue of no datacenter → found, if it has a workflow's type", async () => {
    temporal.startForeign('hidden', 'single', 'private')
    temporal.startForeign('unrelated', 'somebodyElses', 'private')
    await auditNow()
    expect(await list()).toMatchObject([{ id: null, workflow: 'single', workflow_id: 'hidden', task_queue: 'private' }])
    expect((await start('single')).status).toBe(429)
  })

  it('failed → not counted by maxFailure', async () => {
    const fragile = 'fragile'
    temporal.startForeign('by-hand', fragile, 'dc1:node:web-1')
    await auditNow()
    temporal.close('by-hand', 'FAILED', 'x')
    await alarmNow()
    expect(await list()).toMatchObject([{ id: null, status: 'failed' }])
    expect(await sql('SELECT count(*) AS count FROM failures')).toMatchObject([{ count: 0 }])
  })

  it('child of a known execution → not foreign', async () => {
    const { id } = (await start('free')).body.execution
    temporal.startForeign('child', 'helper', 'dc1')
    const child = temporal.executions.get('child')
    if (child !== undefined) child.rootWorkflowId = id
    await auditNow()
    expect(await list()).toMatchObject([{ id }])
  })
})

describe('execution that ended', () => {
  it('reset → runs again, counts as open', async () => {
    const { id } = (await start('single')).body.execution
    temporal.close(id, 'FAILED', 'x')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'failed' })
    temporal.resetExecution(id)
    await auditNow()
    expect(await execution(id)).toMatchObject({ status: 'running', closed_at: null, error: null })
    expect((await start('single')).status).toBe(429)
    temporal.close(id, 'COMPLETED', 'well')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'completed', result: 'well' })
  })

  it('deleted in its namespace → closed', async () => {
    const { id } = (await start('single')).body.execution
    temporal.executions.delete(id)
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'terminated', error: { type: 'Deleted' } })
  })

  it('namespace made again → lost, counts until settled', async () => {
    const { id } = (await start('single')).body.execution
    const settle = (body: object) => request('POST', `/v1/executions/${id}/settle`, body)
    expect(await settle({ status: 'completed', reason: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'not_lost' },
    })
    temporal.executions.delete(id)
    temporal.namespaceId = crypto.randomUUID()
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'lost', closed_at: null })
    expect((await start('single')).status).toBe(429)
    expect(await settle({ status: 'pending', reason: 'x' })).toMatchObject({ body: { errors: [{ path: '/status' }] } })
    expect(await settle({ status: 'completed' })).toMatchObject({ body: { errors: [{ path: '/reason' }] } })
    expect(await settle({ status: 'failed', reason: 'seen on the host' })).toMatchObject({
      status: 200,
      body: { status: 'failed', error: { type: 'Settled', message: expect.stringContaining('seen on the host') } },
    })
    expect((await start('single')).status).toBe(201)
  })

  it('continued as new → open', async () => {
    const { id } = (await start('single')).body.execution
    const running = temporal.executions.get(id)
    if (running !== undefined) running.status = 'WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })
})

describe('clocks more than 10 s apart', () => {
  it.each([60_000, -60_000])('%i ms → nothing admitted or sent until they agree', async (ahead) => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    await abortAllDurableObjects()
    await sendHeartbeats()
    temporal.fault = 'none'
    temporal.clockAhead = ahead
    // Right after Temporal did not answer, nothing is known of its clock: then a start is admitted, but not sent.
    await vi.waitFor(
      async () => expect(await start('free')).toMatchObject({ status: 503, body: { code: 'clock_skew' } }),
      { timeout: 10_000, interval: 500 },
    )
    temporal.starts.length = 0
    await alarmNow()
    expect(temporal.starts).toEqual([])
    expect(await execution(id)).toMatchObject({ status: 'pending' })
    temporal.clockAhead = 0
    await vi.waitFor(async () => expect((await start('free')).status).toBe(201), { timeout: 5000, interval: 200 })
    // By itself, and soon: it has a valid_for.
    const isRunning = async (): Promise<void> => expect(await execution(id)).toMatchObject({ status: 'running' })
    await vi.waitFor(isRunning, { timeout: 15_000, interval: 200 })
  })

  it('clock jumps → noticed', async () => {
    expect((await start('free')).status).toBe(201)
    vi.useFakeTimers({ toFake: ['Date'] })
    const real = Date.now()
    vi.setSystemTime(real + 86_400_000)
    temporal.clockAhead = -86_400_000
    await sendHeartbeats()
    expect((await start('free')).body.code).toBe('clock_skew')
  })

  it('clock set back → due work continues, heartbeats from the future do not count', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const right = Date.now()
    vi.setSystemTime(right + 3_600_000)
    await sendHeartbeats()
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    vi.setSystemTime(right)
    temporal.fault = 'none'
    expect((await start('free')).body.code).toBe('no_worker')
    await alarm()
    await alarm()
    expect(await execution(id)).toMatchObject({
      status: 'expired',
      error: { message: expect.stringContaining('clock') },
    })
  })

  it('admitted while the clock was ahead → not sent once it is right', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    const ahead = Date.now() + 3_600_000
    await sql('UPDATE executions SET admitted_at = ?, valid_until = ? WHERE id = ?', ahead, ahead + 600_000, id)
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({
      status: 'expired',
      error: { message: expect.stringContaining('clock') },
    })
    expect([...temporal.executions.values()].map(({ type }) => type)).not.toContain('free')
  })

  it('answer without a date → ignored', async () => {
    temporal.clockAhead = Number.NaN
    await abortAllDurableObjects()
    await sendHeartbeats()
    expect((await start('free')).status).toBe(201)
  })
})

it('limits changed → count what really ran', async () => {
  for (let index = 0; index < 3; index++) expect((await start('thrice')).status).toBe(201)
  // Two days ago, so outside the period of then; a longer one sees them again.
  await sql('UPDATE starts SET at = at - 172800000')
  expect((await start('thrice')).body.decision.constraints).toMatchObject([{ used: 0 }])
  await runInDurableObject(ledger(), async (instance) => {
    const longer = {
      kind: 'maxExecution',
      value: 1,
      period: 744 * 3_600_000,
      is_global: false,
      isCentral: false,
    } as const
    const asked = { datacenter: 'dc1', exclusive: [], fleets: [] }
    const usages = instance.usages('thrice', longer, asked)
    expect(usages).toMatchObject([{ used: 4, limit: 1, allowed: false }])
  })
})
