import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HeartbeatAnswer } from '../../../shared/heartbeat.ts'
import { alarmNow, request, start } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

/** A heartbeat of a node that asks about executions. */
const confirm = async (...ids: string[]): Promise<unknown> =>
  (await request('PUT', '/v1/nodes/asker', { datacenter: 'dc1', confirm: ids })).body

const statusOf = async (id: string): Promise<unknown> => ((await confirm(id)) as HeartbeatAnswer).executions[0]

async function endedOne(workflow: string): Promise<string> {
  const { id } = (await start(workflow)).body.execution
  temporal.close(id, 'COMPLETED')
  await alarmNow()
  return id
}

describe('clearance', () => {
  it('nothing to say → 204', async () => {
    expect((await request('PUT', '/v1/nodes/asker', { datacenter: 'dc1' })).status).toBe(204)
  })

  it('open, ended and unknown executions → told apart', async () => {
    const { id, run_id } = (await start('free')).body.execution
    const ended = await endedOne('free')
    const unknown = '01a1fd87-1ab3-749c-8831-cc78a8e48041'
    expect(await confirm(id, ended, unknown, 'nonsense')).toEqual({
      freezes: [],
      executions: [
        { id, status: 'open', first_run_id: run_id },
        { id: ended, status: 'closed', first_run_id: expect.any(String) },
        { id: unknown, status: 'unknown', first_run_id: null },
        { id: 'nonsense', status: 'unknown', first_run_id: null },
      ],
    })
  })

  it('reset execution → open again before any audit', async () => {
    const id = await endedOne('single')
    temporal.resetExecution(id)
    expect(await statusOf(id)).toMatchObject({ status: 'open' })
    expect((await start('single')).status).toBe(429)
  })

  it('started again under its id → open, but the admitted start is another run', async () => {
    const { id, run_id } = (await start('free')).body.execution
    temporal.close(id, 'TERMINATED')
    await alarmNow()
    temporal.startForeign(id, 'free', 'dc1')
    expect(await statusOf(id)).toEqual({ id, status: 'open', first_run_id: run_id })
    expect(temporal.executions.get(id)?.runId).not.toBe(run_id)
  })

  it('reset execution while another is open → over its limit until that has ended', async () => {
    const id = await endedOne('single')
    const other = (await start('single')).body.execution.id
    temporal.resetExecution(id)
    expect(await statusOf(id)).toMatchObject({ status: 'over_limit' })
    expect(await statusOf(other)).toMatchObject({ status: 'open' })
    temporal.close(other, 'COMPLETED')
    await alarmNow()
    expect(await statusOf(id)).toMatchObject({ status: 'open' })
  })

  it('freeze → told to every host', async () => {
    const { body } = await request('POST', '/v1/freezes', { scope: { node: 'web-1' }, reason: 'maintenance' })
    expect(await confirm('x')).toMatchObject({ freezes: [{ id: body.id, scope: { node: 'web-1' } }] })
  })
})
