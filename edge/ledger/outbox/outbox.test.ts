import { abortAllDurableObjects, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alarm, alarmNow, execution, ledger, request, sql, start, startPending } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { OutboxRunner } from './runner.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

const NO_WAIT = { prefer: 'wait=0' }

function getAlarm(): Promise<number | null> {
  return runInDurableObject(ledger(), (_, state) => state.storage.getAlarm())
}

/** Moves an execution's valid_until into the past. */
async function outlive(id: string): Promise<void> {
  await runInDurableObject(ledger(), (_, state) => {
    state.storage.sql.exec('UPDATE executions SET valid_until = 1 WHERE id = ?', id)
  })
}

describe('start with unknown outcome', () => {
  it.each(['unreachable', 'proxy 503', 'reply lost'] as const)(
    '(%s) is 202, counts, and is sent again with the same ids',
    async (fault) => {
      temporal.fault = fault
      const first = await startPending('thrice')
      expect(first).toMatchObject({ status: 202, body: { execution: { status: 'pending', started_at: null } } })
      const { id } = first.body.execution
      expect((await start('thrice', NO_WAIT)).body.decision.constraints[0]).toMatchObject({ used: 1 })
      temporal.fault = 'none'
      await alarmNow()
      expect(await execution(id)).toMatchObject({ status: 'running', error: null })
      expect(
        new Set(temporal.starts.filter(({ workflowId }) => workflowId === id).map(({ requestId }) => requestId)),
      ).toEqual(new Set([id]))
      expect(temporal.executions.size).toBe(2)
    },
  )

  it('coordinator lost its memory → continues', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('free')).body.execution
    await abortAllDurableObjects()
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })

  it('admitted → alarm set in the same turn', async () => {
    // No step after the admission gets a chance to set it, and the one that is set is later.
    vi.spyOn(OutboxRunner.prototype, 'step').mockResolvedValue()
    await alarm()
    await start('free', NO_WAIT)
    const [due] = await sql('SELECT next_at FROM executions')
    await expect.poll(getAlarm).toBeLessThanOrEqual(Number(due?.next_at))
  })

  it('readiness asked often → alarm kept', async () => {
    await alarm()
    const later = Date.now() + 8000
    await runInDurableObject(ledger(), (_, state) => state.storage.setAlarm(later))
    for (let index = 0; index < 10; index++) await request('GET', '/readyz')
    expect(await getAlarm()).toBe(later)
    await runInDurableObject(ledger(), (_, state) => state.storage.deleteAlarm())
    await request('GET', '/readyz')
    expect(await getAlarm()).toBeTypeOf('number')
  })

  it('AlreadyStarted with its own id → started, also with another request id', async () => {
    temporal.fault = 'reply lost'
    const { id } = (await startPending('free')).body.execution
    const running = temporal.executions.get(id)
    if (running !== undefined) running.requestId = 'after continue-as-new'
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })
})

describe('start that Temporal refuses', () => {
  it('for good → failed with the reason, limit free again', async () => {
    temporal.fault = { code: 3, message: 'bad queue name' }
    const answer = await start('single')
    expect(answer).toMatchObject({
      status: 500,
      body: { code: 'internal', detail: expect.stringContaining('bad queue name') },
    })
    expect(await execution(answer.body.decision.id ?? '')).toMatchObject({
      status: 'failed',
      error: { type: 'StartRefused' },
    })
    temporal.fault = 'none'
    expect((await start('single')).status).toBe(201)
  })

  it('for now → sent later', async () => {
    temporal.fault = { code: 5, message: 'namespace not found' }
    const { id } = (await startPending('free')).body.execution
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })
})

describe('start not made within valid_for', () => {
  it('late packet → workflow id occupied, nothing starts', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('single')).body.execution
    await outlive(id)
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'pending' })
    expect((await start('single', NO_WAIT)).status).toBe(429)
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({
      status: 'expired',
      error: { type: 'Expired', message: expect.stringContaining('valid_for') },
    })
    expect(temporal.executions.get(id)?.type).toBe('resile-void')
    expect((await start('single')).status).toBe(201)
  })

  it('reached Temporal in time → running, not expired', async () => {
    temporal.fault = 'reply lost'
    const { id } = (await startPending('single')).body.execution
    await outlive(id)
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
    expect(temporal.executions.get(id)?.type).toBe('single')
  })
})

describe('cancel', () => {
  it('pending → never starts', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('single')).body.execution
    expect((await request('POST', `/v1/executions/${id}/cancel`, { reason: 'not needed' })).status).toBe(202)
    temporal.fault = 'none'
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'canceled', error: { message: 'not needed' } })
    expect([...temporal.executions.values()].map(({ type }) => type)).toEqual(['resile-void'])
    expect(await request('POST', `/v1/executions/${id}/cancel`)).toMatchObject({
      status: 409,
      body: { code: 'already_closed' },
    })
  })

  it('running → cancellation repeated until Temporal acknowledges it', async () => {
    const { id } = (await start('single')).body.execution
    temporal.fault = 'unreachable'
    await request('POST', `/v1/executions/${id}/cancel`)
    await alarmNow()
    expect(temporal.cancels).toEqual([])
    temporal.fault = 'none'
    await alarmNow()
    expect(temporal.cancels).toEqual([id])
    temporal.close(id, 'CANCELED')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'canceled' })
  })

  it('Temporal busy → cancellation sent again', async () => {
    const { id } = (await start('single')).body.execution
    temporal.busyVerbs.add('cancel')
    await request('POST', `/v1/executions/${id}/cancel`)
    await alarmNow()
    expect(temporal.cancels).toEqual([])
    temporal.busyVerbs.clear()
    await alarmNow()
    expect(temporal.cancels).toEqual([id])
  })

  it('being voided, but running → cancelled', async () => {
    temporal.fault = 'reply lost'
    const { id } = (await startPending('single')).body.execution
    await outlive(id)
    temporal.fault = 'unreachable'
    await alarmNow()
    await request('POST', `/v1/executions/${id}/cancel`, { reason: 'stop it' })
    temporal.fault = 'none'
    await alarmNow()
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
    expect(temporal.cancels).toEqual([id])
  })

  it('unknown → 404', async () => {
    expect((await request('POST', '/v1/executions/01a1fd87-1ab3-749c-8831-cc78a8e48041/cancel')).status).toBe(404)
  })
})

describe('end of an execution', () => {
  it.each([
    ['COMPLETED', 'completed'],
    ['FAILED', 'failed'],
    ['TERMINATED', 'terminated'],
    ['TIMED_OUT', 'timed_out'],
    ['CANCELED', 'canceled'],
  ] as const)('%s → %s, closed', async (status, expected) => {
    const { id } = (await start('single')).body.execution
    temporal.close(id, status, 'done')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: expected, closed_at: expect.any(String) })
    expect((await start('single')).status).toBe(201)
  })

  it('history unreadable at first → result read later', async () => {
    const { id } = (await start('single')).body.execution
    temporal.close(id, 'COMPLETED', { answer: 42 })
    temporal.busyVerbs.add('history')
    await alarmNow()
    expect(await execution(id)).toMatchObject({ closed_at: null })
    temporal.busyVerbs.clear()
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'completed', result: { answer: 42 } })
  })

  it('reported by a host → verified at once', async () => {
    const { id } = (await start('single')).body.execution
    temporal.close(id, 'COMPLETED')
    await request('PUT', '/v1/nodes/web-2', { datacenter: 'dc1', queues: [], closed: [id] })
    await alarm()
    expect(await execution(id)).toMatchObject({ status: 'completed' })
  })

  it('unknown in another namespace → lost, still counts', async () => {
    const { id } = (await start('single')).body.execution
    const forgotten = temporal.executions.get(id)
    const home = temporal.namespaceId
    temporal.executions.delete(id)
    temporal.namespaceId = crypto.randomUUID()
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'lost', closed_at: null })
    expect((await start('single')).status).toBe(429)
    if (forgotten !== undefined) temporal.executions.set(id, forgotten)
    temporal.namespaceId = home
    await alarmNow()
    expect(await execution(id)).toMatchObject({ status: 'running' })
  })

  it('closed → in the metrics', async () => {
    const { id } = (await start('single')).body.execution
    temporal.close(id, 'COMPLETED')
    await start('single')
    await alarmNow()
    const text = String((await request('GET', '/metrics')).body.answer)
    for (const line of [
      'resile_decisions_total{workflow="single",outcome="admitted",code=""} 1',
      'resile_decisions_total{workflow="single",outcome="denied",code="constraint_denied"} 1',
      'resile_executions_open{workflow="single"} 0',
      'resile_executions_closed_total{workflow="single",status="completed"} 1',
      'resile_outbox_pending 0',
      'resile_nodes_live{datacenter="dc1"} 2',
    ])
      expect(text).toContain(line)
  })
})
