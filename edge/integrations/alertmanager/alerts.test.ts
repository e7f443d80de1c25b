import { abortAllDurableObjects } from 'cloudflare:test'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BODY_LIMIT } from '../../../shared/body-limit.ts'
import type { Config } from '../../../shared/config.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../../shared/wire.ts'
import { LedgerObject } from '../../ledger/ledger.ts'
import { Signals } from '../../signals/signals.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { type Answer, beatAll, request } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

const PATH = '/v1/triggers/alertmanager'
const JSON_TYPE = { 'content-type': 'application/json' }

const OPEN = configured({
  detectors: {
    sick: {
      workflow: 'typed',
      target: { node: '${labels.node}' },
      input: { unit: '${labels.unit}', options: { why: '${annotations.summary}' } },
      alert: { labels: { alertname: 'ServiceSick', severity: 'critical' } },
    },
    limited: { workflow: 'thrice', target: { node: 'web-1' }, alert: { labels: { alertname: 'Limited' } } },
    again: { workflow: 'free', target: { node: 'web-2' }, alert: { labels: { alertname: 'Twofold' } } },
    valued: { workflow: 'free', target: { node: '${value}' }, alert: { labels: { alertname: 'Valued' } } },
  },
})

let temporal: FakeTemporal
let count = 0
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

/**
 * An alert of a group, of the shape that Alertmanager sends.
 *
 * @see https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * @see https://docs.rs/crate/alertmanager-webhook-types/latest/source/assets/sample-v4-payload.json for a recorded one
 */
function alert(labels: Record<string, string>, over: object = {}): Record<string, unknown> {
  count += 1
  return {
    status: 'firing',
    labels: { alertname: 'ProbeFailure', instance: 'https://server.example.org', job: 'http_checks', ...labels },
    annotations: { summary: 'BlackBox Probe Failure', description: 'down for over 5m' },
    startsAt: '2023-02-06T13:08:45.828Z',
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus.example.org:9090/graph?g0.expr=probe_success+%3D%3D+0',
    fingerprint: `1a30ba71cca2${String(count).padStart(4, '0')}`,
    ...over,
  }
}

function group(alerts: object[], over: object = {}): string {
  return JSON.stringify({
    receiver: 'resile',
    status: 'firing',
    alerts,
    groupLabels: { alertname: 'ProbeFailure' },
    commonLabels: { alertname: 'ProbeFailure' },
    commonAnnotations: {},
    externalURL: 'http://prometheus.example.org:9093',
    version: '4',
    groupKey: '{}/{severity="critical"}:{alertname="ProbeFailure"}',
    truncatedAlerts: 0,
    ...over,
  })
}

async function deliver(
  alerts: object[],
  config: Config = OPEN,
  over: object = {},
): Promise<Answer & { items: TriggerItem[] }> {
  const answer = await post(config, PATH, group(alerts, over), JSON_TYPE)
  const schema = answer.status === 200 ? triggerItemsSchema : problemSchema
  return { ...answer, items: schema.parse(answer.body).items ?? [] }
}

const decisions = async (): Promise<Record<string, unknown>[]> =>
  (await request('GET', '/v1/decisions')).body.items as Record<string, unknown>[]

describe('firing alert', () => {
  it('label remediation → starts that workflow on the target of its labels', async () => {
    const sent = alert({ remediation: 'free', node: 'web-1', datacenter: 'dc1' })
    const { status, items } = await deliver([sent])
    expect(status).toBe(200)
    expect(items).toEqual([
      {
        fingerprint: sent.fingerprint,
        status: 'firing',
        detector: null,
        workflow: 'free',
        outcome: 'admitted',
        code: null,
        detail: null,
        decision: temporal.starts[0]?.workflowId,
        execution: temporal.starts[0]?.workflowId,
        retry: false,
      },
    ])
    expect(await decisions()).toMatchObject([
      {
        caller: 'anonymous',
        target: { node: 'web-1', datacenter: 'dc1' },
        reason: 'BlackBox Probe Failure',
        trigger: { source: 'alertmanager', name: 'ProbeFailure', fingerprint: sent.fingerprint },
      },
    ])
  })

  it.each([
    ['on-type', { node: 'web-1' }, { node_type: 'database' }],
    ['any-type', { node: 'web-1', node_type: 'database' }, { node_type: 'database' }],
    ['anywhere', { node: 'web-1', node_type: 'web', datacenter: 'dc1' }, { datacenter: 'dc1' }],
  ])('%s with labels %j → target %j', async (workflow, labels, target) => {
    const { items } = await deliver([alert({ remediation: workflow, ...labels })])
    expect(items).toMatchObject([{ outcome: 'admitted' }])
    expect((await decisions())[0]?.target).toEqual(target)
  })

  it('several detectors match → a separate start each', async () => {
    const labels = { alertname: 'ServiceSick', severity: 'critical', node: 'web-1', unit: 'nginx' }
    const { items } = await deliver([
      alert(labels),
      alert({ ...labels, severity: 'warning' }),
      alert({ alertname: 'Twofold', remediation: 'anywhere' }),
      alert({ alertname: 'Twofold', remediation: 'free', node: 'web-1' }),
    ])
    expect(items.map(({ detector, workflow, outcome }) => [detector, workflow, outcome])).toEqual([
      ['sick', 'typed', 'admitted'],
      [null, null, 'ignored'],
      ['again', 'free', 'admitted'],
      [null, 'anywhere', 'admitted'],
      ['again', 'free', 'admitted'],
    ])
    const typed = (await decisions()).find(({ workflow }) => workflow === 'typed')
    expect(typed).toMatchObject({ target: { node: 'web-1' }, trigger: { name: 'sick' } })
  })

  it('very long names → cut in answers, decisions and log', async () => {
    const alertname = 'A'.repeat(300_000)
    const { items, body } = await deliver([
      alert({ alertname, remediation: 'free', node: 'web-1' }),
      alert({ alertname, remediation: 'b'.repeat(300_000) }),
    ])
    expect(items).toMatchObject([
      { outcome: 'admitted' },
      { outcome: 'refused', code: 'unknown_workflow', workflow: 'b'.repeat(255) },
    ])
    expect(JSON.stringify([body, await decisions()]).length).toBeLessThan(4000)
  })

  it('no fingerprint → identified by its labels', async () => {
    const labels = { remediation: 'free', node: 'web-1' }
    const first = await deliver([alert(labels, { fingerprint: undefined })])
    const again = await deliver([alert(labels, { fingerprint: '' })])
    expect(first.items[0]?.fingerprint).toMatch(/^[0-9a-f]{16}$/)
    expect(again.items).toEqual(first.items)
    const other = await deliver([alert({ ...labels, job: 'other' }, { fingerprint: '' })])
    expect(other.items[0]?.fingerprint).not.toBe(first.items[0]?.fingerprint)
    expect(temporal.starts).toHaveLength(2)
  })

  it('sent again, with other annotations → started once; a new startsAt → started again', async () => {
    const sent = alert({ remediation: 'free', node: 'web-1' })
    const first = await deliver([sent])
    const changed = { ...sent, annotations: { summary: 'now 93%' }, startsAt: '2023-02-06T14:08:45.828+01:00' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => deliver([changed])))
    for (const { status, items } of answers) expect({ status, items }).toEqual({ status: 200, items: first.items })
    await abortAllDurableObjects()
    await beatAll()
    expect((await deliver([sent])).items).toEqual(first.items)
    expect(temporal.starts).toHaveLength(1)
    await deliver([{ ...sent, startsAt: '2023-02-06T13:09:45.828Z' }])
    expect(temporal.starts).toHaveLength(2)
  })
})

describe('alert that starts nothing', () => {
  it('resolved → says so', async () => {
    const { status, items } = await deliver([
      alert({ remediation: 'free', node: 'web-1' }, { status: 'resolved', endsAt: '2023-02-06T14:00:00Z' }),
    ])
    expect(status).toBe(200)
    expect(items).toMatchObject([{ status: 'resolved', outcome: 'resolved', workflow: null, retry: false }])
    expect(temporal.starts).toEqual([])
    expect(await decisions()).toEqual([])
  })

  it('no label and no detector → ignored', async () => {
    const { status, items } = await deliver([alert({}), alert({ remediation: '' })])
    expect(status).toBe(200)
    expect(items).toMatchObject([{ outcome: 'ignored', detail: expect.stringContaining('no label remediation') }, {}])
  })

  it.each<[string, Record<string, string>, string, string]>([
    ['an unknown workflow', { remediation: 'no' }, 'unknown_workflow', 'there is no workflow "no"'],
    ['what is no name', { remediation: '../x' }, 'unknown_workflow', '../x'],
    ['an inherited name', { remediation: 'constructor' }, 'unknown_workflow', 'constructor'],
    ['a node where none is named', { remediation: 'free' }, 'invalid_target', '/target/node: is required'],
    ['a node that is no name', { remediation: 'free', node: 'WEB' }, 'invalid_target', '/target/node: not a name'],
    [
      'another datacenter',
      { remediation: 'free', node: 'web-1', datacenter: 'x' },
      'invalid_target',
      'serves dc1, dc2',
    ],
    [
      'an input that is not there',
      { remediation: 'typed', node: 'web-1' },
      'invalid_input',
      '/input/unit: is required',
    ],
    ['a label that it lacks', { alertname: 'ServiceSick', severity: 'critical' }, 'invalid_target', 'labels.node'],
    ['a value, as it has none', { alertname: 'Valued' }, 'invalid_target', '${value}'],
  ])('%s → refused in its item and the log, and not retried', async (_, labels, code, detail) => {
    const log = vi.spyOn(console, 'log')
    const { status, items } = await deliver([alert(labels), alert({ remediation: 'free', node: 'web-1' })])
    expect(status).toBe(200)
    expect(items).toMatchObject([
      { outcome: 'refused', code, detail: expect.stringContaining(detail), decision: null, retry: false },
      { outcome: 'admitted' },
    ])
    expect(temporal.starts).toHaveLength(1)
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines).toContainEqual(expect.objectContaining({ event: 'trigger_denied', level: 'warn', code }))
  })

  it('annotations too large for an input → refused', async () => {
    const labels = { alertname: 'ServiceSick', severity: 'critical', node: 'web-1', unit: 'nginx' }
    const { items } = await deliver([alert(labels, { annotations: { summary: 'x'.repeat(70_000) } })])
    expect(items).toMatchObject([
      { outcome: 'refused', code: 'invalid_input', detail: expect.stringContaining('64 KiB') },
    ])
  })
})

describe('group with starts that may be admitted later', () => {
  it('some denied → 503 with retry, the others not started twice', async () => {
    const sent = [
      ...Array.from({ length: 4 }, () => alert({ alertname: 'Limited' })),
      alert({ remediation: 'free', node: 'web-1' }),
      alert({ remediation: 'free', node: 'web-9' }),
    ]
    const first = await deliver(sent)
    expect(first).toMatchObject({ status: 503, body: { code: 'try_again', type: 'urn:resile:problem:try_again' } })
    expect(first.headers.get('content-type')).toBe('application/problem+json')
    expect(first.headers.get('retry-after')).toBe('5')
    expect(first.body.detail).toBe(
      "2 of 6 can't be started now (constraint_denied, no_worker); what was started is not started again",
    )
    const denied = first.items.filter(({ retry }) => retry)
    expect(denied).toMatchObject([
      { outcome: 'denied', code: 'constraint_denied', execution: null, decision: expect.stringMatching(/^0/) },
      { outcome: 'denied', code: 'no_worker' },
    ])
    expect(temporal.starts).toHaveLength(4)
    const again = await deliver(sent)
    expect(again.status).toBe(503)
    expect(temporal.starts).toHaveLength(4)
    await beatAll(['web-9'])
    const third = await deliver(sent.filter((one) => one.fingerprint !== denied[0]?.fingerprint))
    expect(third.status).toBe(200)
    expect(temporal.starts).toHaveLength(5)
  })

  it('frozen → 503 with retry', async () => {
    await request('POST', '/v1/freezes', { scope: {}, reason: 'test' })
    const { status, items } = await deliver([alert({ remediation: 'free', node: 'web-1' })])
    expect({ status, items }).toMatchObject({ status: 503, items: [{ outcome: 'denied', code: 'frozen' }] })
  })

  it('ledger unavailable → 503 with retry, what was admitted anyway stays one', async () => {
    const submit = vi.spyOn(LedgerObject.prototype, 'submit').mockImplementation(async () => {
      throw new Error('connection lost')
    })
    const sent = [alert({ remediation: 'free', node: 'web-1' })]
    const { status, items } = await deliver(sent)
    expect(status).toBe(503)
    expect(items).toMatchObject([{ outcome: 'undecided', code: 'ledger_unavailable', retry: true }])
    expect(items[0]?.decision).toMatch(/^0/)
    submit.mockRestore()
    expect((await deliver(sent)).status).toBe(200)
    expect(temporal.starts).toHaveLength(1)
  })

  it('ledger hangs → answered in time, undecided', { timeout: 30_000 }, async () => {
    vi.spyOn(LedgerObject.prototype, 'submit').mockReturnValue(new Promise(() => undefined))
    const sent = Array.from({ length: 20 }, () => alert({ remediation: 'free', node: 'web-1' }))
    const { status, items } = await deliver(sent)
    expect(status).toBe(503)
    expect(items.every(({ code, retry }) => code === 'overloaded' && retry)).toBe(true)
    expect(items).toHaveLength(20)
  })
})

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
  })

  it('a MiB → only from authorised callers', async () => {
    const large = group([alert({})], { filler: 'x'.repeat(BODY_LIMIT) })
    expect((await post(OPEN, PATH, large, JSON_TYPE)).status).toBe(200)
    const closed = configured({ coordinator: rules({ route_patterns: ['/metrics'], allow_public: true }) })
    expect((await post(closed, PATH, large, JSON_TYPE)).status).toBe(413)
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
  const door = { route_patterns: [PATH], allow_public: true }

  it('endpoint and each start → both must be authorised', async () => {
    const config = configured({
      coordinator: rules(door, { route_patterns: ['/v1/workflows/free/executions'], allow_public: true }),
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
