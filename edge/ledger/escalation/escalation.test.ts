import { abortAllDurableObjects, env } from 'cloudflare:test'
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { escalationSchema } from '../../../shared/wire.ts'
import {
  alarm,
  alarmNow,
  execution,
  request,
  sendHeartbeats,
  sql,
  start,
  startPending,
} from '../../testing/coordinator.ts'
import { again, ended, lose, metric, missing, onNode, settled } from '../../testing/escalation.ts'
import { cleanUp, forgetAll, freshTemporal } from '../../testing/fresh.ts'
import { FakeReceivers } from '../../testing/receiver.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
})
afterEach(cleanUp)

describe('escalation', () => {
  it('execution failed → one signed message with evidence and receipt', async () => {
    const id = await ended(temporal, 'told', 'FAILED')
    for (let round = 0; round < 3; round++) await alarmNow()
    const [message, ...more] = receivers.messages('hook')
    expect(more).toEqual([])
    expect(escalationSchema.parse(message)).toEqual(message)
    expect(message).toMatchObject({
      type: 'execution.failed',
      id: `${id}_failed`,
      summary: 'told on web-1 failed: too few servers',
      workflow: 'told',
      datacenter: 'dc1',
      execution: { id, status: 'failed', target: { node: 'web-1' }, error: { message: 'too few servers' } },
      decision: { id, outcome: 'admitted', constraints: [{ kind: 'maxFailure', used: 0, limit: 2 }] },
      tripped: [],
    })
    expect(message?.execution).toEqual(await execution(id))
    const [{ url, headers, redirect, text } = missing()] = receivers.received
    expect({ url, redirect }).toEqual({ url: 'http://hook.receiver.test/in?a=b', redirect: 'manual' })
    expect(headers.get('webhook-id')).toBe(`${id}_failed`)
    const key = new Webhook(String((env as unknown as Record<string, unknown>).RECEIVER_SECRET))
    expect(key.verify(text, Object.fromEntries(headers))).toEqual(message)
    expect(await metric('resile_escalations_total{receiver="hook",outcome="sent"}')).toEqual([
      'resile_escalations_total{receiver="hook",outcome="sent"} 1',
    ])
  })

  it.each([
    ['TIMED_OUT', 'timed_out', /^told-plainly on web-1 timed out: /],
    ['TERMINATED', 'terminated', /^told-plainly on web-1 was terminated: /],
  ] as const)('execution that %s → escalated', async (how, status, summary) => {
    const id = await ended(temporal, 'told-plainly', how)
    expect(receivers.messages('plain')).toMatchObject([
      { type: `execution.${status}`, id: `${id}_${status}`, summary: expect.stringMatching(summary) },
    ])
    expect(receivers.received[0]?.headers.has('webhook-signature')).toBe(false)
    expect(receivers.received[0]?.headers.get('webhook-timestamp')).toMatch(/^\d{10}$/)
  })

  it('not started in time → escalated', async () => {
    temporal.fault = 'unreachable'
    const { id } = (await startPending('told-quick')).body.execution
    await sql('UPDATE executions SET valid_until = 1 WHERE id = ?', id)
    temporal.fault = 'none'
    await settled()
    expect(receivers.messages('plain')).toMatchObject([
      {
        type: 'execution.expired',
        summary: expect.stringMatching(/^told-quick on web-1 was not started: .*valid_for/),
      },
    ])
  })

  it('refused by Temporal → escalated', async () => {
    temporal.fault = { code: 3, message: 'no such thing' }
    expect((await start('told-plainly')).status).toBe(500)
    temporal.fault = 'none'
    await settled()
    expect(receivers.messages('plain')).toMatchObject([
      { type: 'execution.failed', summary: expect.stringContaining('no such thing') },
    ])
  })

  it('lost, then settled → both escalated', async () => {
    const { id } = (await start('told-plainly')).body.execution
    const find = await lose(temporal, id)
    await find()
    await lose(temporal, id)
    await request('POST', `/v1/executions/${id}/settle`, { status: 'failed', reason: 'the host says so' })
    await settled()
    expect(receivers.messages('plain')).toMatchObject([
      { type: 'execution.lost', execution: { status: 'lost' }, summary: expect.stringContaining('is lost') },
      { type: 'execution.failed', summary: expect.stringContaining('the host says so') },
    ])
  })

  it('approval needed → escalated with receipt; expired → escalated again', async () => {
    const body = { ...onNode('web-1'), reason: '5xx\nabove 20%' }
    const { id } = (await start('told-asked', {}, body)).body.execution
    await settled()
    expect(receivers.messages('plain')).toMatchObject([
      {
        type: 'execution.awaiting_approval',
        summary: expect.stringMatching(/^told-asked on web-1 waits for approval until 20.*Z: 5xx above 20%$/),
        execution: { id, status: 'awaiting_approval' },
        decision: { id, outcome: 'awaiting_approval', constraints: [] },
      },
    ])
    await sql('UPDATE executions SET valid_until = 1 WHERE id = ?', id)
    await settled()
    expect(receivers.messages('plain').map(({ type }) => type)).toEqual([
      'execution.awaiting_approval',
      'execution.expired',
    ])
  })

  it('maxFailure tripped → in the message of the execution that tripped it, in no other', async () => {
    await ended(temporal, 'told', 'FAILED')
    await ended(temporal, 'told', 'FAILED', onNode('web-2'))
    expect(receivers.messages('hook')).toMatchObject([
      { tripped: [] },
      {
        type: 'execution.failed',
        tripped: ['told'],
        summary: 'told on web-2 failed: too few servers. maxFailure tripped (told): nothing more until it is reset',
      },
    ])
  })

  it('written → alarm set for it at once', async () => {
    for (const count of [1, 2]) {
      await start('told-asked')
      await vi.waitFor(() => expect(receivers.received).toHaveLength(count), { timeout: 8000 })
    }
  })

  it.each(['told-plainly', 'alerting'])(
    'not again of one of %s that fails once more after a reset',
    async (workflow) => {
      const id = await ended(temporal, workflow, 'FAILED')
      temporal.resetExecution(id)
      await abortAllDurableObjects()
      await sendHeartbeats()
      await alarm()
      expect(await execution(id)).toMatchObject({ status: 'running' })
      temporal.close(id, 'FAILED', 'again')
      await settled()
      expect(await execution(id)).toMatchObject({ status: 'failed', error: { message: 'again' } })
      expect(receivers.received).toHaveLength(1)
      expect(await metric('resile_escalations_pending')).toEqual(['resile_escalations_pending 0'])
    },
  )

  it('other workflows and statuses → nothing sent', async () => {
    await ended(temporal, 'told', 'COMPLETED')
    await ended(temporal, 'told', 'CANCELED')
    await ended(temporal, 'free', 'FAILED')
    await start('told-watched')
    const waiting = (await start('told-asked')).body.execution.id
    await sql("UPDATE escalations SET outcome = 'sent', next_at = NULL")
    await request('POST', `/v1/executions/${waiting}/reject`)
    await settled()
    expect(receivers.received).toEqual([])
  })

  it('status ended before it was sent → dropped', async () => {
    receivers.answers.set('plain', 'unreachable')
    const id = (await start('told-asked')).body.execution.id
    // Not due for long: an attempt that comes before the approval would not be dropped.
    await sql(`UPDATE escalations SET next_at = ${Date.now() + 3_600_000}, attempts = 0`)
    expect((await request('POST', `/v1/executions/${id}/approve`)).status).toBe(201)
    receivers.received.length = 0
    receivers.answers.clear()
    await settled()
    expect(receivers.received).toEqual([])
    expect(await sql('SELECT status, outcome FROM escalations')).toEqual([
      { status: 'awaiting_approval', outcome: 'dropped' },
    ])
    expect(await metric('resile_escalations_pending')).toEqual(['resile_escalations_pending 0'])
  })
})

describe('delivery', () => {
  it.each([500, 404, 301, 'unreachable'] as const)(
    'that was answered with %s is sent again, as the same',
    async (how) => {
      const log = vi.spyOn(console, 'log')
      receivers.answers.set('hook', how)
      const id = await ended(temporal, 'told', 'FAILED')
      const tries = receivers.received.length
      expect(tries).toBeGreaterThanOrEqual(1)
      expect(await metric('resile_escalations_pending')).toEqual(['resile_escalations_pending 1'])
      receivers.answers.clear()
      for (let round = 0; round < 3; round++) await again()
      expect(receivers.received).toHaveLength(tries + 1)
      expect(new Set(receivers.received.map(({ text }) => text)).size).toBe(1)
      expect(new Set(receivers.received.map(({ headers }) => headers.get('webhook-id')))).toEqual(
        new Set([`${id}_failed`]),
      )
      const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
      const facts = { execution: id, status: 'failed', receiver: 'hook' }
      expect(lines.filter(({ event }) => event === 'escalation_failed')).toHaveLength(tries)
      expect(lines).toContainEqual(expect.objectContaining({ event: 'escalation_failed', level: 'warn', ...facts }))
      expect(lines).toContainEqual(expect.objectContaining({ event: 'escalation_sent', attempt: tries + 1, ...facts }))
    },
  )

  it('failing receiver → longer waits, Retry-After honoured', async () => {
    receivers.answers.set('plain', 503)
    await ended(temporal, 'told-plainly', 'FAILED')
    const wait = async (attempts: number): Promise<number> => {
      await sql('UPDATE escalations SET next_at = 0, attempts = ?', attempts - 1)
      await alarm()
      const [row] = await sql('SELECT next_at FROM escalations')
      return Number(row?.next_at) - Date.now()
    }
    const [first, third, late] = [await wait(1), await wait(3), await wait(100)]
    expect(first).toBeGreaterThan(3000)
    expect(first).toBeLessThan(6001)
    expect(third).toBeGreaterThan(15_000)
    expect(third).toBeLessThan(24_001)
    expect(late).toBeGreaterThan(470_000)
    expect(late).toBeLessThan(720_001)
    receivers.answers.set('plain', { status: 429, retryAfter: '120' })
    expect(await wait(1)).toBeGreaterThan(110_000)
    const at = new Date(Date.now() + 240_000).toUTCString()
    receivers.answers.set('plain', { status: 503, retryAfter: at })
    expect(await wait(1)).toBeGreaterThan(230_000)
    receivers.answers.set('plain', { status: 503, retryAfter: '999999999' })
    expect(await wait(1)).toBeLessThan(3_600_001)
  })

  it('never accepted → given up after about a day, logged', async () => {
    const log = vi.spyOn(console, 'log')
    receivers.answers.set('plain', 500)
    const id = await ended(temporal, 'told-plainly', 'FAILED')
    await sql('UPDATE escalations SET attempts = 149')
    await again()
    receivers.answers.clear()
    receivers.received.length = 0
    await settled()
    expect(receivers.received).toEqual([])
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'escalation_given_up', level: 'error', execution: id, detail: 'HTTP 500' }),
    )
    expect(await metric('resile_escalations_total{receiver="plain"')).toEqual([
      'resile_escalations_total{receiver="plain",outcome="sent"} 0',
      'resile_escalations_total{receiver="plain",outcome="given_up"} 1',
    ])
  })

  it('receiver no longer configured → given up', async () => {
    receivers.answers.set('plain', 500)
    await ended(temporal, 'told-plainly', 'FAILED')
    await sql("UPDATE escalations SET receiver = 'gone'")
    receivers.received.length = 0
    await again()
    expect(receivers.received).toEqual([])
    expect(await sql('SELECT outcome, next_at FROM escalations')).toEqual([{ outcome: 'given_up', next_at: null }])
  })

  it('secret unusable → not sent unsigned', async () => {
    const log = vi.spyOn(console, 'log')
    await ended(temporal, 'told-mutely', 'FAILED')
    expect(receivers.received).toEqual([])
    expect(log.mock.calls.join()).toContain('its secret is missing or not base64 of at least 16 bytes')
    expect(await metric('resile_escalations_pending')).toEqual(['resile_escalations_pending 1'])
  })

  it('ledger restarted → still sent', async () => {
    receivers.answers.set('plain', 'unreachable')
    const id = await ended(temporal, 'told-plainly', 'FAILED')
    await abortAllDurableObjects()
    receivers.answers.clear()
    receivers.received.length = 0
    await sql('UPDATE escalations SET next_at = 0, attempts = 0')
    await sendHeartbeats()
    await alarm()
    expect(receivers.messages('plain')).toMatchObject([{ id: `${id}_failed` }])
  })

  it('cut off → sent again, the same message', async () => {
    receivers.answers.set('plain', 'hangs')
    const { id } = (await start('told-plainly')).body.execution
    temporal.close(id, 'FAILED', 'x')
    await alarmNow()
    await alarm()
    expect(receivers.received).toHaveLength(1)
    await abortAllDurableObjects()
    receivers.answers.clear()
    await again()
    expect(receivers.received).toHaveLength(2)
    expect(new Set(receivers.received.map(({ text }) => text)).size).toBe(1)
  })

  it('another receiver hangs → not delayed', async () => {
    receivers.answers.set('plain', 'hangs')
    for (let count = 0; count < 10; count++) {
      const { id } = (await start('told-plainly')).body.execution
      temporal.close(id, 'FAILED', 'x')
    }
    const { id } = (await start('told')).body.execution
    temporal.close(id, 'FAILED', 'x')
    await settled()
    expect(receivers.messages('hook')).toMatchObject([{ id: `${id}_failed` }])
    expect(receivers.messages('plain')).toHaveLength(8)
  })

  it('evidence too large → cut, and marked', async () => {
    const { id } = (await start('told-plainly')).body.execution
    temporal.close(id, 'FAILED', 'ä'.repeat(200_000))
    await settled()
    const [{ text } = missing()] = receivers.received
    expect(new TextEncoder().encode(text).byteLength).toBeLessThan(256 * 1024)
    expect(receivers.messages('plain')).toMatchObject([
      {
        summary: expect.stringMatching(/^told-plainly on web-1 failed: ä+…$/),
        execution: { error: { truncated: true, bytes: expect.any(Number), message: expect.stringMatching(/^ä+$/) } },
      },
    ])
  })
})

describe('ledger that lost its disk', () => {
  it('execution ends later → escalated to the present receiver; ended before → not', async () => {
    const { id } = (await start('told-plainly')).body.execution
    const past = (await start('told-plainly', {}, onNode('web-2'))).body.execution.id
    temporal.close(past, 'FAILED', 'x')
    temporal.startForeign('foreign', 'toldPlainly', 'dc1:node:web-1')
    await forgetAll()
    await sendHeartbeats()
    temporal.close(id, 'FAILED', 'y')
    temporal.close('foreign', 'FAILED', 'z')
    await settled()
    expect(receivers.messages('plain')).toMatchObject([{ id: `${id}_failed`, decision: null }])
  })
})

it('workflows: escalation block → receiver in GET /v1/workflows', async () => {
  expect((await request('GET', '/v1/workflows/told')).body).toMatchObject({ escalation: { receiver: 'hook' } })
  expect((await request('GET', '/v1/workflows/free')).body).toMatchObject({ escalation: null })
})
