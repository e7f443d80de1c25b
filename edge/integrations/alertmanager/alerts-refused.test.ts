import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BODY_LIMIT } from '../../../shared/body-limit.ts'
import { parseLogLine } from '../../../shared/log.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../../shared/wire.ts'
import { createApp } from '../../app.ts'
import { Signals } from '../../signals/signals.ts'
import { alert, deliver, group, JSON_TYPE, OPEN, PATH } from '../../testing/alertmanager.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { request, send, sendHeartbeats } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

/** How many signals were dropped, by reason. */
async function dropped(): Promise<Record<string, number>> {
  const { body } = await request('GET', '/metrics')
  const lines = String(body['answer']).matchAll(
    /^resile_signals_dropped_total\{source="alertmanager",reason="(\w+)"\} (\d+)$/gm,
  )
  return Object.fromEntries([...lines].map(([, reason = '', count]) => [reason, Number(count)]))
}

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

  it('many alerts, all but the last ones started before → the last ones start', { timeout: 60_000 }, async () => {
    const known = many(600)
    for (const part of [known.slice(0, 300), known.slice(300)]) {
      await sendHeartbeats()
      await expect.poll(async () => (await deliver(part)).status, { timeout: 20_000 }).toBe(200)
    }
    await sendHeartbeats()
    const { status, items } = await deliver([...known, ...many(10)])
    expect(status).toBe(200)
    expect(items.filter(({ outcome }) => outcome === 'admitted')).toHaveLength(610)
    expect(new Set(items.map(({ execution }) => execution)).size).toBe(610)
    expect(temporal.starts).toHaveLength(610)
  })

  it('3,000 alerts → each looked at, no more than 2,000 episodes recorded, denied ones first', async () => {
    const recorded = vi.spyOn(Signals.prototype, 'record')
    const resolved = Array.from({ length: 3000 }, (_, index) => ({
      status: 'resolved',
      labels: { alertname: 'Twofold', remediation: 'anywhere', index: String(index) },
      startsAt: '2026-01-01T00:00:00Z',
    }))
    const { status, items } = await deliver([...resolved, alert({ remediation: 'nothing' })])
    expect(status).toBe(200)
    expect(items).toHaveLength(3001)
    expect(items.at(-1)).toMatchObject({ outcome: 'refused', code: 'unknown_workflow' })
    expect(recorded.mock.calls.map(([episodes]) => episodes.length)).toEqual([2000])
    expect(recorded.mock.calls[0]?.[0][0]).toMatchObject({ code: 'unknown_workflow' })
  })

  it('started before, rights lost since → refused', async () => {
    const sent = Array.from({ length: 17 }, () => alert({ remediation: 'anywhere' }))
    expect((await deliver(sent)).items).toMatchObject(sent.map(() => ({ outcome: 'admitted' })))
    const closed = configured({ coordinator: rules({ route_patterns: [PATH], allow_public: true }) })
    expect((await deliver(sent, closed)).items).toMatchObject(sent.map(() => ({ code: 'unauthenticated' })))
  })

  it('dropped signals → error in the log, metric, entry in signals', { timeout: 60_000 }, async () => {
    const lines = vi.spyOn(console, 'log')
    const before = await dropped()
    const startsAt = new Date().toISOString()
    await deliver(Array.from({ length: 503 }, () => alert({ remediation: 'nothing' }, { startsAt })))
    await deliver([], OPEN, { truncatedAlerts: 7 })
    await post(OPEN, PATH, group([alert({})], { filler: 'x'.repeat(1024 * 1024) }), JSON_TYPE)
    await post(OPEN, PATH, '{', JSON_TYPE)
    const after = await dropped()
    const added = (reason: string) => (after[reason] ?? 0) - (before[reason] ?? 0)
    expect(['too_many', 'truncated', 'request_refused'].map(added)).toEqual([3, 7, 2])
    const said = lines.mock.calls.flatMap(([line]) => parseLogLine(String(line)) ?? [])
    const reasons = said.filter(({ event }) => event === 'signals_dropped').map(({ level, reason }) => [level, reason])
    expect(reasons).toEqual(
      ['too_many', 'truncated', 'request_refused', 'request_refused'].map((reason) => ['error', reason]),
    )
    const entries = async () => {
      const { body } = await request('GET', '/v1/signals?source=alertmanager')
      const items = body.items as { name: string; windows: Record<string, { denied: number }> }[]
      return Object.fromEntries(items.map(({ name, windows }) => [name, windows['1d']?.denied]))
    }
    await expect.poll(entries).toMatchObject({ 'truncated groups': 1, 'refused requests': 2, ProbeFailure: 503 })
  })

  it('refused requests of callers without rights → not noted', async () => {
    const before = await dropped()
    const closed = configured({ coordinator: rules({ route_patterns: ['/metrics'], allow_public: true }) })
    expect((await post(closed, PATH, '{', JSON_TYPE)).status).toBe(401)
    expect(await dropped()).toEqual(before)
  })

  it('refused requests to paths that a caller makes up → no series of their own', async () => {
    const rule = { method: '*', route_patterns: ['/v1/triggers/*'], allow_public: true }
    const app = createApp(configured({ coordinator: rules(rule) }), 'network')
    for (const method of ['PUT', 'POST']) {
      const made = new Request('http://coordinator.test/v1/triggers/madeup', { method, body: 'x'.repeat(70_000) })
      expect((await send(made, app)).status).toBe(413)
    }
    expect(String((await request('GET', '/metrics')).body['answer'])).not.toContain('madeup')
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
