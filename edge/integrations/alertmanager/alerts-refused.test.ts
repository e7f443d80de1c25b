import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BODY_LIMIT } from '../../../shared/body-limit.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../../shared/wire.ts'
import { Signals } from '../../signals/signals.ts'
import { alert, deliver, group, JSON_TYPE, OPEN, PATH } from '../../testing/alertmanager.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { request } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

describe('large group', () => {
  const many = (length: number) =>
    Array.from({ length }, () => alert({ remediation: 'anywhere', filler: 'x'.repeat(200) }))

  it('more bytes than other requests, 510 starts → accepted, at most 500 start', { timeout: 60_000 }, async () => {
    const sent = many(510)
    expect(group(sent).length).toBeGreaterThan(BODY_LIMIT)
    const { status, items } = await deliver(sent)
    expect([200, 503]).toContain(status)
    expect(items).toHaveLength(510)
    expect(items.slice(500)).toMatchObject(
      Array.from({ length: 10 }, () => ({ outcome: 'refused', code: 'too_large', retry: false })),
    )
    // On a slow machine the time may run out before all are begun; what was left is then said to come again.
    for (const { outcome, retry } of items.slice(0, 500)) expect(outcome === 'admitted' || retry).toBe(true)
    expect(items[0]).toMatchObject({ outcome: 'admitted' })
    // What was started takes no place when the group comes again, or the last ones would never start.
    const again = await deliver(sent)
    expect(again.items.filter(({ code }) => code === 'too_large')).toEqual([])
    expect(again.items[0]).toMatchObject({ outcome: 'admitted', execution: items[0]?.execution })
  })

  it('a MiB → only from authorised callers', async () => {
    const large = group([alert({})], { filler: 'x'.repeat(BODY_LIMIT) })
    expect((await post(OPEN, PATH, large, JSON_TYPE)).status).toBe(200)
    const closed = configured({ coordinator: rules({ route_patterns: ['/metrics'], allow_public: true }) })
    expect((await post(closed, PATH, large, JSON_TYPE)).status).toBe(401)
    expect((await post(closed, PATH, group([alert({})]), JSON_TYPE)).status).toBe(401)
    const over = group([alert({})], { filler: 'x'.repeat(1024 * 1024) })
    expect(await post(OPEN, PATH, over, JSON_TYPE)).toMatchObject({
      status: 413,
      body: { detail: 'the request body is over 1024 KiB' },
    })
    expect((await post(OPEN, '/v1/workflows/free/executions', large, JSON_TYPE)).status).toBe(413)
  })

  it('2,000 alerts → accepted, no more than 2,000 episodes recorded', { timeout: 60_000 }, async () => {
    const recorded = vi.spyOn(Signals.prototype, 'record')
    const tiny = (index: number) => ({
      status: 'resolved',
      labels: { alertname: 'Twofold', remediation: 'anywhere', index: String(index) },
      startsAt: '2026-01-01T00:00:00Z',
    })
    const sent = Array.from({ length: 2001 }, (_, index) => tiny(index))
    expect((await deliver(sent.slice(1))).status).toBe(200)
    expect(recorded.mock.calls.map(([episodes]) => episodes.length)).toEqual([2000])
    const { status, body } = await deliver(sent)
    expect(status).toBe(400)
    expect(body.errors).toMatchObject([{ path: '/alerts' }])
  })

  it('truncated by its sender → says so', async () => {
    const { body } = await deliver([alert({})], OPEN, { truncatedAlerts: 7 })
    expect(body.truncated_alerts).toBe(7)
    await request('POST', '/v1/freezes', { scope: {}, reason: 'test' })
    const denied = await deliver([alert({ remediation: 'free', node: 'web-1' })], OPEN, { truncatedAlerts: 7 })
    expect(denied.body.truncated_alerts).toBe(7)
  })
})

describe('route rules', () => {
  const endpoint = { route_patterns: [PATH], allow_public: true }

  it('endpoint and each start → both must be authorised', async () => {
    const config = configured({
      coordinator: rules(endpoint, { route_patterns: ['/v1/workflows/free/executions'], allow_public: true }),
    })
    const sent = [alert({ remediation: 'free', node: 'web-1' }), alert({ remediation: 'anywhere' })]
    const { status, items } = await deliver(sent, config)
    expect(status).toBe(200)
    expect(items).toMatchObject([
      { outcome: 'admitted' },
      { outcome: 'refused', code: 'unauthenticated', retry: false },
    ])
    const starts = configured({
      coordinator: rules({ route_patterns: ['/v1/workflows/*/executions'], allow_public: true }),
    })
    expect(await deliver(sent, starts)).toMatchObject({ status: 401, items: [] })
    expect(temporal.starts).toHaveLength(1)
  })
})

describe('invalid groups', () => {
  it.each<[unknown, string[]]>([
    ['{', ['']],
    [[], ['']],
    [{}, ['/version', '/alerts']],
    [{ version: '3', alerts: [] }, ['/version']],
    [{ version: '4', alerts: [{}] }, ['/alerts/0/status', '/alerts/0/labels', '/alerts/0/startsAt']],
    [{ version: '4', alerts: [alert({}, { status: 'pending' })] }, ['/alerts/0/status']],
    [{ version: '4', alerts: [alert({}, { labels: { a: 1 } })] }, ['/alerts/0/labels/a']],
    [{ version: '4', alerts: [alert({}, { startsAt: 'now' })] }, ['/alerts/0/startsAt']],
    [{ version: '4', alerts: [alert({}, { fingerprint: 'x'.repeat(256) })] }, ['/alerts/0/fingerprint']],
    [{ version: '4', alerts: [], truncatedAlerts: -1 }, ['/truncatedAlerts']],
  ])('%j → refused with its place', async (body, paths) => {
    const answer = await post(OPEN, PATH, typeof body === 'string' ? body : JSON.stringify(body), JSON_TYPE)
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.body.errors?.map(({ path }) => path)).toEqual(paths)
  })

  it('other media type → refused', async () => {
    expect((await post(OPEN, PATH, group([]), { 'content-type': 'text/plain' })).status).toBe(415)
  })

  const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.string({ unit: 'binary' }))
  const anyGroup = fc.record({
    version: fc.oneof({ weight: 9, arbitrary: fc.constant('4') }, { weight: 1, arbitrary: odd }),
    alerts: fc.oneof(
      { weight: 1, arbitrary: odd },
      {
        weight: 9,
        arbitrary: fc.array(
          fc.record({
            status: fc.oneof(fc.constantFrom('firing', 'firing', 'resolved'), odd),
            startsAt: fc.oneof(fc.constant('2023-02-06T13:08:45.828Z'), fc.date().map(String), odd),
            labels: fc.oneof(
              fc.dictionary(
                fc.constantFrom('remediation', 'node', 'alertname', '__proto__', 'severity'),
                fc.oneof(fc.constantFrom('free', 'web-1', 'typed', 'Limited', 'ServiceSick', 'critical'), fc.string()),
              ),
              odd,
            ),
            annotations: fc.oneof(fc.constant({}), odd),
            fingerprint: fc.oneof(fc.string(), odd),
          }),
          { maxLength: 4 },
        ),
      },
    ),
  })
  it('any body → never 500', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(anyGroup, async (body) => {
        const { status, body: answer } = await post(OPEN, PATH, JSON.stringify(body), JSON_TYPE)
        const come = (list: TriggerItem[]): boolean => list.some(({ retry }) => retry)
        const isRight = {
          200: () => !come(triggerItemsSchema.parse(answer).items),
          400: () => answer.code === 'bad_request',
          503: () => answer.code === 'try_again' && come(problemSchema.parse(answer).items ?? []),
        }[status]
        expect(isRight?.()).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
