import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alarm, execution, request, start } from '../../testing/coordinator.ts'
import { ended, lose, metric, missing, onNode, settled } from '../../testing/escalation.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import { type Alert, FakeReceivers } from '../../testing/receiver.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
})
afterEach(cleanUp)

describe('Alertmanager alert', () => {
  it('labels and times → as Alertmanager takes them, always the same', async () => {
    const id = await ended(temporal, 'alerting', 'FAILED', { ...onNode('web-1'), reason: 'load' })
    expect(receivers.received[0]?.url).toBe('http://alerts.receiver.test/prefix/api/v2/alerts')
    const [alert = missing(), ...more] = receivers.alerts('alerts')
    expect(more).toEqual([])
    const { closed_at } = await execution(id)
    expect(alert).toMatchObject({
      labels: {
        alertname: 'ResileEscalation',
        severity: 'critical',
        status: 'failed',
        workflow: 'alerting',
        datacenter: 'dc1',
        node: 'web-1',
        execution: id,
      },
      annotations: {
        summary: 'alerting on web-1 failed: too few servers',
        description: expect.stringContaining('Reason of the trigger: load'),
        receipt: 'admitted, without constraints',
        evidence: expect.stringContaining('too few servers'),
      },
      startsAt: closed_at,
    })
    expect(Date.parse(alert.endsAt) - Date.parse(alert.startsAt)).toBe(24 * 3_600_000)
  })

  it('approval decided → resolved', async () => {
    const ids = await Promise.all(
      ['web-1', 'web-2'].map(async (node) => (await start('alerting-asked', {}, onNode(node))).body.execution.id),
    )
    await settled()
    expect(receivers.alerts('alerts')).toHaveLength(2)
    const [first = '', second = ''] = ids
    await request('POST', `/v1/executions/${first}/approve`)
    await request('POST', `/v1/executions/${second}/reject`)
    await settled()
    for (const id of ids) {
      const [firing = missing(), resolved = missing(), ...more] = receivers
        .alerts('alerts')
        .filter(({ labels }) => labels.execution === id)
      expect(more).toEqual([])
      expect(resolved.labels).toEqual(firing.labels)
      expect(resolved.startsAt).toBe(firing.startsAt)
      expect(Date.parse(firing.endsAt)).toBeGreaterThan(Date.now())
      expect(Date.parse(resolved.endsAt)).toBeLessThanOrEqual(Date.now())
    }
    expect(await metric('resile_escalations_total{receiver="alerts",outcome="sent"}')).toEqual([
      'resile_escalations_total{receiver="alerts",outcome="sent"} 2',
    ])
  })

  it('lost and found → resolved; lost again → active again', async () => {
    const { id } = (await start('alerting')).body.execution
    const find = await lose(temporal, id)
    await find()
    expect(await execution(id)).toMatchObject({ status: 'running' })
    await lose(temporal, id)
    const firing = receivers.alerts('alerts').map(({ endsAt }) => Date.parse(endsAt) > Date.now())
    expect(firing).toEqual([true, false, true])
  })

  it('not acknowledged, may have arrived → resolved anyway', async () => {
    receivers.answers.set('alerts', 500)
    const { id } = (await start('alerting-asked')).body.execution
    await settled()
    await request('POST', `/v1/executions/${id}/reject`)
    receivers.answers.clear()
    receivers.received.length = 0
    await settled()
    const alerts = receivers.alerts('alerts')
    expect(alerts).toHaveLength(1)
    expect(Date.parse(alerts[0]?.endsAt ?? '')).toBeLessThanOrEqual(Date.now())
  })

  it('decided while it is being sent → resolved afterwards', async () => {
    let isHeld = true
    const alerts: Alert[] = []
    const spy = vi.spyOn(globalThis, 'fetch')
    const others = spy.getMockImplementation()
    spy.mockImplementation(async (input, init) => {
      if (!String(input).includes('alerts.receiver.test')) return (others ?? fetch)(input, init)
      alerts.push(...(JSON.parse(String(init?.body)) as Alert[]))
      while (isHeld) await new Promise((resolve) => setTimeout(resolve, 10))
      return new Response()
    })
    const { id } = (await start('alerting-asked')).body.execution
    const sending = alarm()
    await vi.waitFor(() => expect(alerts).toHaveLength(1))
    await request('POST', `/v1/executions/${id}/reject`)
    isHeld = false
    await sending
    await settled()
    expect(alerts).toHaveLength(2)
    expect(Date.parse(alerts[1]?.endsAt ?? '')).toBeLessThanOrEqual(Date.now())
  })

  it('long annotations → cut', async () => {
    const { id } = (await start('alerting')).body.execution
    temporal.close(id, 'FAILED', 'x'.repeat(100_000))
    await settled()
    for (const text of Object.values(receivers.alerts('alerts')[0]?.annotations ?? {})) {
      expect(text.length).toBeLessThan(5000)
    }
    expect(receivers.alerts('alerts')[0]?.annotations.evidence).toMatch(/… \(cut\)$/)
  })
})
