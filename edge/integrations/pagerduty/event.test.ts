import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../shared/config.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../../shared/wire.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { type Answer, request } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { SECRET, signed, signedByPagerDuty } from '../../testing/webhook.ts'

const PATH = '/v1/triggers/pagerduty'
const KEY = 'PagerDuty gives a subscription such a secret'
const OTHER = 'and another one to the other subscription'
const BINDINGS = { KEY, OTHER, SHORT: 'too short', STANDARD: SECRET }
const WEBHOOKS = {
  pager: { secret_env: 'KEY', format: 'pagerduty' },
  narrow: { secret_env: 'OTHER', format: 'pagerduty', workflow: 'free' },
  ci: { secret_env: 'STANDARD' },
}
const DETECTORS = {
  disk: {
    workflow: 'typed',
    target: { node: '${labels.host}' },
    input: { unit: '${labels.service_name}', options: { priority: '${labels.priority}', of: '${labels.incident_id}' } },
    pagerduty: { services: ['PF9KMXH'], title: '^disk full on (?P<host>[a-z0-9-]+)$' },
  },
  any: { workflow: 'free', target: { node: 'web-1' }, pagerduty: { title: '^anything' } },
  noted: { workflow: 'anywhere', pagerduty: { event_types: ['incident.annotated'] } },
}
const OPEN = configured({ coordinator: { webhook: WEBHOOKS }, detectors: DETECTORS })

const NARROW = configured({ coordinator: { webhook: WEBHOOKS }, detectors: { disk: DETECTORS.disk } })
const SERVICES = configured({
  coordinator: { webhook: WEBHOOKS },
  detectors: {
    service: {
      workflow: 'typed',
      target: { node: 'web-1' },
      input: { unit: '${labels.service_name}' },
      pagerduty: { event_types: ['service.updated'], services: ['PF9KMXH'] },
    },
  },
})

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

/**
 * An event as PagerDuty sends it.
 *
 * @see https://developer.pagerduty.com/docs/webhooks-overview
 * @see https://prismatic.io/docs/example-payloads/pagerduty/triggers/incidentsTrigger.json for a recorded one
 */
function event(title: string, over: object = {}, data: object = {}): Record<string, unknown> {
  return {
    id: crypto.randomUUID(),
    event_type: 'incident.triggered',
    resource_type: 'incident',
    occurred_at: new Date().toISOString(),
    agent: { id: 'PLH1HKV', summary: 'Earline Greenholt', type: 'user_reference' },
    client: { name: 'PagerDuty' },
    data: {
      id: 'PGR0VU2',
      type: 'incident',
      html_url: 'https://acme.pagerduty.com/incidents/PGR0VU2',
      number: 42,
      status: 'triggered',
      incident_key: 'd3640fbd41094207a1c11e58e46b1662',
      created_at: '2020-04-09T15:16:27Z',
      title,
      service: { id: 'PF9KMXH', summary: 'nginx', type: 'service_reference' },
      assignees: [{ id: 'PTUXL6G', summary: 'User 123', type: 'user_reference' }],
      priority: { id: 'PSO75BM', summary: 'P1', type: 'priority_reference' },
      urgency: 'high',
      ...data,
    },
    ...over,
  }
}

interface Sending {
  config?: Config
  secrets?: string[]
  headers?: Record<string, string> | [string, string][]
  bindings?: object
}

async function deliver(sent: unknown, options: Sending = {}): Promise<Answer & { items: TriggerItem[] }> {
  const { config = OPEN, secrets = [KEY], bindings = BINDINGS } = options
  const body = typeof sent === 'string' ? sent : JSON.stringify({ event: sent })
  const answer = await post(config, PATH, body, options.headers ?? (await signedByPagerDuty(body, ...secrets)), {
    bindings,
  })
  const schema = answer.status === 200 ? triggerItemsSchema : problemSchema
  return { ...answer, items: schema.parse(answer.body).items ?? [] }
}

describe('signed event', () => {
  it('detectors match → started, with what their patterns captured from the title', async () => {
    const sent = event('disk full on web-1')
    const { status, items } = await deliver(sent)
    expect(status).toBe(200)
    expect(items).toMatchObject([
      {
        fingerprint: 'PGR0VU2',
        status: 'incident.triggered',
        detector: 'disk',
        workflow: 'typed',
        outcome: 'admitted',
      },
    ])
    expect((await request('GET', '/v1/decisions')).body.items).toMatchObject([
      {
        caller: 'webhook:pager',
        target: { node: 'web-1' },
        reason: '#42 disk full on web-1',
        trigger: { source: 'pagerduty', name: 'disk', fingerprint: 'PGR0VU2' },
      },
    ])
  })

  it.each([
    ['another service', event('disk full on web-1', {}, { service: { id: 'POTHER' } })],
    ['another title', event('disk full on web-1!')],
    ['no title', event('', {}, { title: null })],
    ['another type', event('disk full on web-1', { event_type: 'incident.resolved' })],
    ['no data', event('disk full on web-1', { data: null })],
  ])('about %s → starts nothing', async (_, sent) => {
    expect(await deliver(sent)).toMatchObject({ status: 200, items: [{ outcome: 'ignored', workflow: null }] })
    expect(temporal.starts).toEqual([])
  })

  it('about a part of an incident → starts', async () => {
    const data = {
      id: 'PNOTE',
      type: 'incident_note',
      incident: { id: 'PGR0VU2', type: 'incident_reference' },
      content: 'x',
    }
    const { items } = await deliver(event('', { event_type: 'incident.annotated', data }))
    expect(items).toMatchObject([{ fingerprint: 'PGR0VU2', detector: 'noted', outcome: 'admitted' }])
  })

  it('test ping, however old → answered', async () => {
    const ping = {
      id: '01CH754SM17TWPE2V2H4VPBRO7',
      event_type: 'pagey.ping',
      resource_type: 'pagey',
      occurred_at: '2021-12-08T22:58:53.510Z',
      agent: null,
      client: null,
      data: { message: 'Hello from your friend Pagey!', type: 'ping' },
    }
    expect(await deliver(ping)).toMatchObject({ status: 200, items: [{ outcome: 'ignored', status: 'pagey.ping' }] })
  })

  it('delivered again → not started again; denied before → tried again', async () => {
    const sent = event('anything')
    await request('POST', '/v1/freezes', { scope: {}, reason: 'test' })
    expect(await deliver(sent)).toMatchObject({ status: 503, items: [{ code: 'frozen', retry: true }] })
    const [freeze] = (await request('GET', '/v1/freezes')).body.items as { id: string }[]
    await request('DELETE', `/v1/freezes/${freeze?.id}`)
    const first = await deliver(sent)
    expect(first.items).toMatchObject([{ outcome: 'admitted' }])
    expect((await deliver(sent)).items).toEqual(first.items)
    expect(temporal.starts).toHaveLength(1)
  })

  it('several webhooks, rotated secrets → the webhook whose secret signed it', async () => {
    const narrow = await deliver(event('anything'), { secrets: ['an old secret that is gone', OTHER] })
    expect(narrow.items).toMatchObject([{ detector: 'any', outcome: 'admitted' }])
    expect((await request('GET', '/v1/decisions')).body.items).toMatchObject([{ caller: 'webhook:narrow' }])
    // That one starts `free` alone.
    expect((await deliver(event('disk full on web-1'), { secrets: [OTHER] })).items).toMatchObject([
      { outcome: 'ignored' },
    ])
  })
})

describe('forms of the signature header', () => {
  it.each<[string, (right: string) => string]>([
    ['space after the comma', (right) => `v1=${'0'.repeat(64)}, ${right}`],
    ['versions that are not known', (right) => `v2=aBc-_/+,${right},v0=x`],
  ])('%s → accepted', async (_, headerOf) => {
    const body = JSON.stringify({ event: event('anything') })
    const headers = await signedByPagerDuty(body, KEY)
    const header = headerOf(headers['x-pagerduty-signature'] ?? '')
    const { status, items } = await deliver(body, { headers: { ...headers, 'x-pagerduty-signature': header } })
    expect({ status, items }).toMatchObject({ status: 200, items: [{ outcome: 'admitted' }] })
  })
})

describe('reasons', () => {
  it('title that is not one of the detector → said so', async () => {
    const { items } = await deliver(event('nothing of interest'))
    const detail = 'no detector matches incident.triggered: its title is not one of detector disk, any'
    expect(items).toMatchObject([{ outcome: 'ignored', detail }])
  })

  it('service that is not one of the detector → said so', async () => {
    const { items } = await deliver(event('disk full on web-1', {}, { service: { id: 'OTHER' } }), { config: NARROW })
    const detail = 'no detector matches incident.triggered: its service is not one of detector disk'
    expect(items).toMatchObject([{ outcome: 'ignored', detail }])
  })

  it('event about a service → its id and name', async () => {
    const data = { id: 'PF9KMXH', type: 'service', summary: 'nginx' }
    const { items } = await deliver(event('', { event_type: 'service.updated', data }), { config: SERVICES })
    expect(items).toMatchObject([{ detector: 'service', outcome: 'admitted' }])
  })
})

describe('invalid signatures', () => {
  const body = JSON.stringify({ event: event('anything') })
  const right = () => signedByPagerDuty(body, KEY)
  const signature = async () => (await right())['x-pagerduty-signature'] ?? ''

  it.each<[string, () => Promise<Record<string, string> | [string, string][]>, string]>([
    ['no header', async () => ({ 'content-type': 'application/json' }), 'there is no header'],
    ['another secret', () => signedByPagerDuty(body, 'another secret of some length'), 'no signature'],
    ['a webhook of another format', () => signedByPagerDuty(body, SECRET), 'no signature'],
    [
      'an altered signature',
      async () => ({
        ...(await right()),
        'x-pagerduty-signature': (await signature()).replace(/.$/, (c) => (c === '0' ? '1' : '0')),
      }),
      'no signature',
    ],
    [
      'half a signature',
      async () => ({ ...(await right()), 'x-pagerduty-signature': (await signature()).slice(0, 35) }),
      'no signature',
    ],
    [
      'another version',
      async () => ({ ...(await right()), 'x-pagerduty-signature': (await signature()).replace('v1', 'v2') }),
      'no signature',
    ],
    ['another body', () => signedByPagerDuty(`${body} `, KEY), 'no signature'],
    [
      'too many signatures',
      async () => ({
        ...(await right()),
        'x-pagerduty-signature': Array.from({ length: 11 }, () => `v1=${'0'.repeat(64)}`).join(','),
      }),
      'more than 10',
    ],
    [
      'what is no signature',
      async () => ({ ...(await right()), 'x-pagerduty-signature': 'v1=xyz' }),
      'must be given exactly once',
    ],
    ['Standard Webhooks', async () => signed(body), 'there is no header'],
  ])('%s → 401', async (_, headers, detail) => {
    const answer = await deliver(body, { headers: await headers() })
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated', detail: expect.stringContaining(detail) },
    })
    expect(temporal.starts).toEqual([])
  })

  it('webhook of another format → 401, even with its own secret', async () => {
    const bodyThere = JSON.stringify({ workflow: 'free', target: { node: 'web-1' } })
    const answer = await post(OPEN, '/v1/triggers/webhook/pager', bodyThere, await signedByPagerDuty(bodyThere, KEY), {
      bindings: BINDINGS,
    })
    expect(answer.status).toBe(404)
    const asBase64 = { ...BINDINGS, KEY: SECRET }
    expect(
      (await post(OPEN, '/v1/triggers/webhook/pager', bodyThere, signed(bodyThere), { bindings: asBase64 })).status,
    ).toBe(404)
  })
})

describe('invalid events', () => {
  const HOUR = 3_600_000
  it.each([
    ['that is an hour old', -HOUR - 5000, 'in the past'],
    ['of the time to come', 305_000, 'in the future'],
  ])('%s → refused', async (_, off, detail) => {
    const occurred_at = new Date(Date.now() + off).toISOString()
    expect(await deliver(event('anything', { occurred_at }))).toMatchObject({
      status: 400,
      body: { errors: [{ path: '/event/occurred_at', message: expect.stringContaining(detail) }] },
    })
  })

  it('just young enough → accepted', async () => {
    for (const off of [-HOUR + 5000, 295_000]) {
      const occurred_at = new Date(Date.now() + off).toISOString()
      expect((await deliver(event('anything', { occurred_at }))).status).toBe(200)
    }
  })

  it.each<[unknown, string[]]>([
    ['{', ['']],
    ['[]', ['']],
    ['{}', ['/event']],
    [{}, ['/event/id', '/event/event_type', '/event/occurred_at']],
    [event('x', { id: '' }), ['/event/id']],
    [event('x', { occurred_at: 'now' }), ['/event/occurred_at']],
    [event('x', {}, { title: 5 }), ['/event/data/title']],
    [event('x', {}, { id: 'P'.repeat(256) }), ['/event/data/id']],
    [event('x', {}, { service: { summary: 'x' } }), ['/event/data/service/id']],
  ])('%j → refused', async (sent, paths) => {
    const answer = await deliver(sent)
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.body.errors?.map(({ path }) => path)).toEqual(paths)
  })

  it('any request → never 500', { timeout: 60_000 }, async () => {
    const odd = fc.jsonValue({ maxDepth: 2 })
    const any = fc.record({
      event: fc.record({
        id: fc.oneof(fc.uuid(), odd),
        event_type: fc.oneof(fc.constantFrom('incident.triggered', 'incident.annotated', 'pagey.ping'), odd),
        occurred_at: fc.oneof(fc.constant(new Date().toISOString()), odd),
        data: fc.oneof(
          fc.record({ id: odd, type: odd, title: fc.oneof(fc.string(), fc.constant('anything'), odd), service: odd }),
          odd,
        ),
      }),
    })
    await fc.assert(
      fc.asyncProperty(any, async (sent) => {
        const { status } = await deliver(JSON.stringify(sent))
        expect([200, 400]).toContain(status)
      }),
      { numRuns: 150 },
    )
  })
})

describe('PagerDuty endpoint', () => {
  it('webhook and each start → both must be authorised', async () => {
    const endpoint = { route_patterns: [PATH], uris: ['webhook:pager'] }
    const withRules = (...list: Parameters<typeof rules>) =>
      configured({ coordinator: { webhook: WEBHOOKS, ...rules(...list) }, detectors: DETECTORS })
    const start = { route_patterns: ['/v1/workflows/free/executions'], uris: ['webhook:pager'] }
    expect((await deliver(event('anything'), { config: withRules(endpoint, start) })).items).toMatchObject([
      { outcome: 'admitted' },
    ])
    expect((await deliver(event('anything'), { config: withRules(endpoint) })).items).toMatchObject([
      { outcome: 'refused', code: 'forbidden', retry: false },
    ])
    expect(await deliver(event('anything'), { config: withRules(start) })).toMatchObject({ status: 403 })
    expect(await deliver(event('anything'), { config: withRules(endpoint, start), secrets: [OTHER] })).toMatchObject({
      status: 403,
    })
    expect(
      await deliver(event('anything'), { config: withRules(endpoint, start), secrets: ['x'.repeat(20)] }),
    ).toMatchObject({ status: 401 })
    expect(temporal.starts).toHaveLength(1)
  })

  it('no such webhook → 404; no secret → 503', async () => {
    const none = configured({ coordinator: { webhook: { ci: WEBHOOKS.ci } } })
    expect(await deliver(event('anything'), { config: none })).toMatchObject({ status: 404 })
    for (const bindings of [
      { ...BINDINGS, OTHER: undefined },
      { ...BINDINGS, OTHER: BINDINGS.SHORT },
    ]) {
      expect(await deliver(event('anything'), { bindings, secrets: [OTHER] })).toMatchObject({
        status: 503,
        body: { code: 'starting', detail: expect.stringContaining('"narrow"') },
      })
      expect((await deliver(event('anything'), { bindings })).status).toBe(200)
    }
  })
})
