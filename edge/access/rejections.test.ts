import { expect, it } from 'vitest'
import { JSON_TYPE } from '../testing/alertmanager.ts'
import { configured, post, rules } from '../testing/configured.ts'
import { request } from '../testing/coordinator.ts'
import { Rejections, rejections } from './rejections.ts'

const NOW = Date.UTC(2026, 5, 1)

it('rejections: one caller from one address → counted by reason, the latest first', () => {
  const counted = new Rejections()
  counted.count('forbidden', 'spiffe://example.org/a', '192.0.2.1', '/v1/freezes', NOW)
  counted.count('unauthenticated', 'anonymous', '192.0.2.9', '/v1/nodes', NOW + 1)
  counted.count('forbidden', 'spiffe://example.org/a', '192.0.2.1', '/v1/executions', NOW + 2)
  expect(counted.list()).toMatchObject([
    { caller: 'spiffe://example.org/a', from: '192.0.2.1', counts: { forbidden: 2 }, last: '/v1/executions' },
    { caller: 'anonymous', from: '192.0.2.9', counts: { unauthenticated: 1, forbidden: 0 } },
  ])
  expect(counted.totals).toMatchObject({ forbidden: 2, unauthenticated: 1 })
})

it('rejections: callers without end → a bounded number, and bounded texts', () => {
  const counted = new Rejections()
  for (let index = 0; index < 5000; index += 1) {
    counted.count('bad_permit', `execution:${index}${'x'.repeat(2000)}`, 'web-1', 'y'.repeat(5000), NOW)
  }
  const list = counted.list()
  expect(list.length).toBeLessThanOrEqual(2000)
  expect(JSON.stringify(list[0]).length).toBeLessThan(1000)
  expect(counted.totals.bad_permit).toBe(5000)
})

it('rejections: refused permits of a heartbeat, caller without a rule → listed and in the metrics', async () => {
  const before = { ...rejections.totals }
  await request('PUT', '/v1/nodes/asker', {
    datacenter: 'dc1',
    refused: [{ execution: 'attack-1', reason: 'missing' }],
  })
  const closed = configured({ coordinator: rules({ route_patterns: ['/metrics'], allow_public: true }) })
  expect((await post(closed, '/v1/freezes', '{}', JSON_TYPE)).status).toBe(401)
  const { items } = (await request('GET', '/v1/rejections')).body as unknown as { items: object[] }
  expect(items).toContainEqual(
    expect.objectContaining({ caller: 'execution:attack-1', from: 'asker', last: 'missing' }),
  )
  expect(items).toContainEqual(expect.objectContaining({ caller: 'anonymous', last: '/v1/freezes' }))
  const text = String((await request('GET', '/metrics')).body.answer)
  expect(text).toContain(`resile_requests_rejected_total{reason="bad_permit"} ${before.bad_permit + 1}`)
})
