import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../shared/config.ts'
import { problemSchema, type TriggerItem, triggerItemsSchema } from '../../../shared/wire.ts'
import { createApp } from '../../app.ts'
import { certificate, verified } from '../../testing/certificate.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { type Answer, request, send } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { type MessageOptions, SECRET, signed } from '../../testing/webhook.ts'

const PATH = '/v1/triggers/cloudevents'
const STRUCTURED = 'application/cloudevents+json; charset=UTF-8'
const OTHER = `whsec_${btoa('another secret of 31 bytes.....')}`
const BINDINGS = { EVENTS: SECRET, NARROW: OTHER, CI: btoa('a third secret of 30 bytes....') }
const WEBHOOKS = {
  events: { secret_env: 'EVENTS', format: 'cloudevents' },
  narrow: { secret_env: 'NARROW', format: 'cloudevents', workflow: 'anywhere' },
  ci: { secret_env: 'CI' },
}
const DETECTORS = {
  sick: {
    workflow: 'typed',
    target: { node: '${labels.subject}' },
    input: { unit: '${labels.unit}', options: { load: '${labels.load}', rack: '${labels.rack}', id: '${labels.id}' } },
    cloudevent: { type: 'com.example.host.sick', source: '/monitoring' },
  },
  wide: { workflow: 'anywhere', cloudevent: { type: 'com.example.power' } },
}
const OPEN = configured({ coordinator: { webhook: WEBHOOKS }, detectors: DETECTORS })

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

/** @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md */
function event(over: object = {}): Record<string, unknown> {
  return {
    specversion: '1.0',
    type: 'com.example.host.sick',
    source: '/monitoring',
    id: crypto.randomUUID(),
    time: new Date().toISOString(),
    subject: 'web-1',
    rack: 'r1',
    datacontenttype: 'application/json',
    data: { unit: 'nginx', load: 0.5, details: { more: true }, id: 'not the id' },
    ...over,
  }
}

interface Sending extends MessageOptions {
  config?: Config
  isSigned?: boolean
  headers?: Record<string, string>
}

async function deliver(sent: unknown, options: Sending = {}): Promise<Answer & { items: TriggerItem[] }> {
  const body = typeof sent === 'string' ? sent : JSON.stringify(sent)
  const headers = {
    ...(options.isSigned === true ? signed(body, options) : {}),
    'content-type': STRUCTURED,
    ...options.headers,
  }
  const answer = await post(options.config ?? OPEN, PATH, body, headers, { bindings: BINDINGS })
  return {
    ...answer,
    items:
      answer.status === 200
        ? (triggerItemsSchema.safeParse(answer.body).data?.items ?? [])
        : (problemSchema.safeParse(answer.body).data?.items ?? []),
  }
}

/** @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode */
async function deliverBinary(
  data: string,
  over: Record<string, string> | [string, string][] = {},
  type = 'application/json; charset=utf-8',
): Promise<Answer> {
  const headers = new Headers({
    'ce-specversion': '1.0',
    'ce-type': 'com.example.host.sick',
    'ce-source': '/monitoring',
    'ce-id': crypto.randomUUID(),
    'ce-time': new Date().toISOString(),
    'ce-subject': 'web-1',
    'ce-rack': 'r1',
    ...(type === '' ? {} : { 'content-type': type }),
  })
  for (const [name, value] of Array.isArray(over) ? over : Object.entries(over)) {
    if (Array.isArray(over)) headers.append(name, value)
    else if (value === '') headers.delete(name)
    else headers.set(name, value)
  }
  return post(OPEN, PATH, data, headers, { bindings: BINDINGS })
}

const inputOfLast = (): unknown => temporal.executions.get(temporal.starts.at(-1)?.workflowId ?? '')?.body

describe('event that a detector matches', () => {
  it('structured mode → started', async () => {
    const sent = event()
    const { status, items } = await deliver(sent)
    expect(status).toBe(200)
    expect(items).toMatchObject([
      {
        fingerprint: 'web-1',
        status: 'com.example.host.sick',
        detector: 'sick',
        workflow: 'typed',
        outcome: 'admitted',
      },
    ])
    expect((await request('GET', '/v1/decisions')).body.items).toMatchObject([
      {
        caller: 'anonymous',
        target: { node: 'web-1' },
        reason: 'com.example.host.sick from /monitoring: web-1',
        trigger: { source: 'cloudevents', name: 'sick', fingerprint: 'web-1' },
      },
    ])
    const input = atob(JSON.stringify(inputOfLast()).match(/"data":"([^"]+)"/)?.[1] ?? '')
    // What is an attribute is not what its data says.
    expect(input).toContain(JSON.stringify({ load: '0.5', rack: 'r1', id: sent.id }))
  })

  it('binary mode, percent-encoded or quoted headers → started', async () => {
    const data = JSON.stringify({ unit: 'nginx', load: 1 })
    const plain = await deliverBinary(data)
    expect(plain).toMatchObject({ status: 200, body: { items: [{ outcome: 'admitted', fingerprint: 'web-1' }] } })
    const encoded = await deliverBinary(data, { 'ce-rack': 'Euro%20%E2%82%AC%20%F0%9F%98%80' })
    expect(encoded.body.items).toMatchObject([{ outcome: 'admitted' }])
    expect((await deliverBinary(data, { 'ce-rack': '"r \\"1\\", 2"' })).status).toBe(200)
  })

  it('base64 data → started', async () => {
    const { data: _, ...rest } = event()
    const data_base64 = btoa(JSON.stringify({ unit: 'nginx', load: 1 }))
    expect((await deliver({ ...rest, data_base64 })).items).toMatchObject([{ outcome: 'admitted' }])
    expect((await deliver({ ...rest, id: 'x', data_base64, datacontenttype: 'text/plain' })).items).toMatchObject([
      { outcome: 'refused', code: 'invalid_input' },
    ])
  })

  it('no data → started; no detector → ignored', async () => {
    expect((await deliver({ ...event({ type: 'com.example.power' }), data: null })).items).toMatchObject([
      { detector: 'wide', outcome: 'admitted' },
    ])
    expect((await deliver(event({ source: '/elsewhere' }))).items).toMatchObject([{ outcome: 'ignored' }])
    expect((await deliverBinary('not JSON', { 'ce-type': 'com.example.power' }, 'text/plain')).status).toBe(200)
    expect((await deliverBinary('', { 'ce-type': 'com.example.power' }, '')).status).toBe(200)
  })

  it('same id of a source twice → started once', async () => {
    const sent = event()
    const first = await deliver(sent)
    expect((await deliver({ ...sent, data: { ...(sent.data as object), load: 2 } })).items).toEqual(first.items)
    expect(temporal.starts).toHaveLength(1)
    const wide = event({ type: 'com.example.power', source: '/a' })
    await deliver(wide)
    await deliver({ ...wide, source: '/b' })
    expect(temporal.starts).toHaveLength(3)
  })

  it('denied for now → 503 with retry', async () => {
    await request('POST', '/v1/freezes', { scope: {}, reason: 'test' })
    expect(await deliver(event())).toMatchObject({
      status: 503,
      body: { code: 'try_again' },
      items: [{ code: 'frozen' }],
    })
  })
})

describe('event whose data names a workflow', () => {
  const data = { workflow: 'free', target: { node: 'web-1' }, reason: 'load' }

  it('no detector → answered like a webhook message', async () => {
    const sent = event({ type: 'com.example.start', data })
    const first = await deliver(sent)
    expect(first).toMatchObject({
      status: 201,
      body: {
        decision: { reason: 'load', trigger: { source: 'cloudevents', name: '/monitoring', fingerprint: sent.id } },
      },
    })
    expect(await deliver(sent)).toMatchObject({ status: 200, body: { execution: { id: first.body.execution.id } } })
    expect(await deliver({ ...sent, data: { ...data, reason: 'other' } })).toMatchObject({
      status: 409,
      body: { code: 'idempotency_conflict' },
    })
    const binary = await deliverBinary(JSON.stringify(data), { 'ce-type': 'com.example.start' })
    expect(binary.status).toBe(201)
    expect(temporal.starts).toHaveLength(2)
  })

  it.each<[object, number, string[] | undefined]>([
    [{ ...data, more: 1 }, 400, ['/data/more']],
    [{ workflow: 5 }, 400, ['/data/workflow']],
    [{ workflow: 'no' }, 404, undefined],
    [{ workflow: 'free' }, 422, ['/data/target/node']],
    [{ ...data, workflow: 'typed', input: { unit: 1 } }, 422, ['/data/input/unit']],
  ])('%j → %i at %j', async (wrong, status, paths) => {
    const answer = await deliver(event({ type: 'com.example.start', data: wrong }))
    expect(answer.status).toBe(status)
    expect(answer.body.errors?.map(({ path }) => path)).toEqual(paths)
  })

  it('a detector matches → the detector decides', async () => {
    const { items } = await deliver(event({ type: 'com.example.power', data }))
    expect(items).toMatchObject([{ detector: 'wide', workflow: 'anywhere' }])
  })

  it('sender bound to a workflow → that one only', async () => {
    const sent = event({ type: 'com.example.start', data })
    expect(await deliver(sent, { isSigned: true, secret: OTHER })).toMatchObject({
      status: 400,
      body: { errors: [{ path: '/data/workflow' }] },
    })
  })
})

describe('sender', () => {
  const CALLER = 'spiffe://example.org/bus'
  const endpoint = (uri: string) => ({ route_patterns: [PATH], uris: [uri] })
  const starts = (uri: string) => ({ route_patterns: ['/v1/workflows/typed/executions'], uris: [uri] })
  const withRules = (...list: Parameters<typeof rules>) =>
    configured({ coordinator: { webhook: WEBHOOKS, ...rules(...list) }, detectors: DETECTORS })

  it('valid signature → its webhook; endpoint and start must be authorised', async () => {
    const uri = 'webhook:events'
    const both = withRules(endpoint(uri), starts(uri))
    expect((await deliver(event(), { isSigned: true, config: both })).items).toMatchObject([{ outcome: 'admitted' }])
    expect((await request('GET', '/v1/decisions')).body.items).toMatchObject([{ caller: uri }])
    expect((await deliver(event(), { isSigned: true, config: withRules(endpoint(uri)) })).items).toMatchObject([
      { code: 'forbidden' },
    ])
    expect((await deliver(event(), { isSigned: true, config: withRules(starts(uri)) })).status).toBe(403)
    expect((await deliver(event(), { config: both })).status).toBe(401)
  })

  it('client certificate → its SPIFFE ID, unless a signature is invalid', async () => {
    const names = [{ type: 'url' as const, value: CALLER }]
    const cf = { tlsClientAuth: verified(await certificate({ names })) }
    const config = configured({
      coordinator: {
        webhook: WEBHOOKS,
        server_config: { enable_tls: true, ...rules(endpoint(CALLER), starts(CALLER)).server_config },
      },
      detectors: DETECTORS,
    })
    const sendTo = (headers: Record<string, string>) =>
      send(
        new Request(`http://coordinator.test${PATH}`, {
          method: 'POST',
          headers: { ...headers, 'content-type': STRUCTURED },
          body: JSON.stringify(event()),
          cf: cf as unknown as RequestInitCfProperties,
        }),
        createApp(config, 'network'),
        BINDINGS,
      )
    expect((await sendTo({})).body.items).toMatchObject([{ outcome: 'admitted' }])
    expect((await request('GET', '/v1/decisions')).body.items).toMatchObject([{ caller: CALLER }])
    expect((await sendTo(signed('another body'))).status).toBe(401)
    expect((await sendTo({ 'webhook-id': 'x' })).status).toBe(401)
  })

  it.each<[string, MessageOptions & { only?: Record<string, string>; off?: number }, string]>([
    ['another body', { only: signed('another') }, 'no signature'],
    ['another secret', { secret: btoa('z'.repeat(24)) }, 'no signature'],
    ['the secret of a webhook of another format', { secret: BINDINGS.CI }, 'no signature'],
    ['a time long past', { off: -302 }, 'in the past'],
    ['a time to come', { off: 304 }, 'in the future'],
    ['one header of three', { only: { 'webhook-signature': 'v1,AAAA' } }, 'there is no header webhook-id'],
  ])('%s → not authenticated', async (_, { only, off = 0, ...options }, detail) => {
    const timestamp = Math.floor(Date.now() / 1000) + off
    const answer = await deliver(
      event(),
      only === undefined
        ? { isSigned: true, timestamp, ...options }
        : { headers: { ...only, 'content-type': STRUCTURED } },
    )
    expect(answer).toMatchObject({ status: 401, body: { detail: expect.stringContaining(detail) } })
    expect(temporal.starts).toEqual([])
  })

  it('same message twice → refused; same event again → not started twice', async () => {
    const sent = event()
    const attempt = { isSigned: true, id: 'msg_1', timestamp: Math.floor(Date.now() / 1000) - 5 }
    expect((await deliver(sent, attempt)).status).toBe(200)
    expect(await deliver(sent, attempt)).toMatchObject({ status: 409, body: { code: 'replayed' } })
    expect((await deliver(sent, { ...attempt, timestamp: attempt.timestamp + 1 })).status).toBe(200)
    expect(temporal.starts).toHaveLength(1)
    const message = event({ type: 'com.example.start', data: { workflow: 'free', target: { node: 'web-1' } } })
    expect((await deliver(message, { ...attempt, id: 'msg_2' })).status).toBe(201)
    expect(await deliver(message, { ...attempt, id: 'msg_2' })).toMatchObject({
      status: 409,
      body: { code: 'replayed' },
    })
  })

  it('signed event in binary mode → refused, since headers are not signed', async () => {
    const data = '{"unit":"nginx","load":1}'
    const { 'content-type': _, ...signature } = signed(data)
    expect(await deliverBinary(data, { ...signature, 'ce-subject': 'web-2' })).toMatchObject({
      status: 415,
      body: { detail: expect.stringContaining('structured mode') },
    })
    expect(temporal.starts).toEqual([])
  })

  it('webhook of another format → not authenticated', async () => {
    const body = JSON.stringify({ workflow: 'free', target: { node: 'web-1' } })
    expect((await post(OPEN, '/v1/triggers/webhook/events', body, signed(body), { bindings: BINDINGS })).status).toBe(
      404,
    )
  })
})

describe('invalid events', () => {
  it.each<[unknown, string[]]>([
    ['{', ['']],
    ['[]', ['']],
    [{}, ['/specversion', '/id', '/source', '/type']],
    [event({ specversion: '0.3' }), ['/specversion']],
    [event({ id: '' }), ['/id']],
    [event({ id: null }), ['/id']],
    [event({ source: 5 }), ['/source']],
    [event({ type: '' }), ['/type']],
    [event({ subject: 's'.repeat(1025) }), ['/subject']],
    [event({ time: 'now' }), ['/time']],
    [event({ time: '2020-01-01T00:00:00Z' }), ['/time']],
    [event({ time: new Date(Date.now() + 400_000).toISOString() }), ['/time']],
    [event({ Extension: 'x' }), ['/Extension']],
    [event({ extension: {} }), ['/extension']],
    [event({ data_base64: 'AAAA' }), ['/data_base64']],
    [{ ...event(), data: undefined, data_base64: '%' }, ['/data_base64']],
    [{ ...event(), data: undefined, data_base64: btoa('{') }, ['/data_base64']],
  ])('%j → refused at %j', async (sent, paths) => {
    const answer = await deliver(sent)
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.body.errors?.map(({ path }) => path)).toEqual(paths)
  })

  it.each<[Record<string, string> | [string, string][], string]>([
    [{ 'ce-id': '' }, '/ce-id'],
    [{ 'ce-specversion': '2.0' }, '/ce-specversion'],
    [{ 'ce-type': '' }, '/ce-type'],
    [{ 'ce-time': '2020-01-01T00:00:00Z' }, '/ce-time'],
    [{ 'ce-subject': 'a b' }, '/ce-subject'],
    [{ 'ce-subject': '%C0%A0' }, '/ce-subject'],
    [{ 'ce-subject': '%zz' }, '/ce-subject'],
    [{ 'ce-some_thing': 'x' }, '/ce-some_thing'],
    [{ 'ce-datacontenttype': 'application/json' }, '/ce-datacontenttype'],
    [[['ce-id', 'another']], '/ce-id'],
    [[['ce-source', '/monitoring']], '/ce-source'],
  ])('headers %j → refused', async (headers, path) => {
    const answer = await deliverBinary('{}', headers)
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path }] } })
  })

  it('data that is not the declared JSON → refused', async () => {
    expect(await deliverBinary('{')).toMatchObject({ status: 400 })
  })

  it.each(['application/cloudevents-batch+json', 'application/cloudevents+avro', 'application/cloudevents'])(
    '%s is 415',
    async (type) => {
      expect(await deliver(event(), { headers: { 'content-type': type } })).toMatchObject({ status: 415 })
    },
  )

  it('any request → never 500', { timeout: 60_000 }, async () => {
    const odd = fc.jsonValue({ maxDepth: 2 })
    const any = fc.dictionary(
      fc.oneof(
        fc.constantFrom('id', 'source', 'type', 'specversion', 'time', 'data', 'data_base64', 'subject', '__proto__'),
        fc.string(),
      ),
      fc.oneof(fc.constantFrom('1.0', '/monitoring', 'com.example.host.sick', new Date().toISOString()), odd),
    )
    await fc.assert(
      fc.asyncProperty(any, fc.boolean(), async (sent, isWhole) => {
        const { status, body } = await deliver(isWhole ? { ...event(), ...sent } : sent)
        // An odd subject may be the name of a node that nobody knows.
        expect([200, 400, 404, 422, 503]).toContain(status)
        expect(status === 503).toBe(body.code === 'try_again')
      }),
      { numRuns: 200 },
    )
  })
})
