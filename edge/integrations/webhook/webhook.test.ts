import { abortAllDurableObjects } from 'cloudflare:test'
import compiled from 'resile:config'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Config, documentSchema } from '../../../shared/config.ts'
import type { Listener } from '../../access/identify.ts'
import { createApp } from '../../app.ts'
import { LedgerObject } from '../../ledger/ledger.ts'
import { type Answer, request, send, sendHeartbeats, sql } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { type MessageOptions, SECRET, signed } from '../../testing/webhook.ts'

const HOUR = 3_600_000
const BODY = { workflow: 'free', target: { node: 'web-1' } }
const BINDINGS = { HOOK: SECRET, BARE: SECRET.slice(6), EMPTY: '', SHORT: btoa('fifteen bytes..'), TEXT: 'not base64!' }
const WEBHOOKS = {
  ci: { secret_env: 'HOOK' },
  bare: { secret_env: 'BARE', workflow: 'free' },
  short: { secret_env: 'SHORT' },
  text: { secret_env: 'TEXT' },
  empty: { secret_env: 'EMPTY' },
  missing: { secret_env: 'NOT_THERE' },
  file: { secret_file: '/run/secret' },
}

function configWith(coordinator: object): Config {
  const base = compiled as { coordinator: object }
  return documentSchema.parse({ ...base, coordinator: { ...base.coordinator, webhook: WEBHOOKS, ...coordinator } })
}

const OPEN = configWith({})

function rules(...list: object[]): Config {
  return configWith({ server_config: { route_rule: list.map((rule, index) => ({ name: `r${index}`, ...rule })) } })
}

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

interface Sending extends MessageOptions {
  to?: string
  config?: Config
  listener?: Listener
  headers?: Record<string, string>
  /** Instead of the signed headers. */
  only?: Record<string, string>
}

/** Sends a message; the app is created again, as after a restart. */
async function deliver(body: unknown = BODY, options: Sending = {}): Promise<Answer> {
  const { to = 'ci', config = OPEN, listener = 'network', headers = {}, only } = options
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const sent = new Request(`http://coordinator.test/v1/triggers/webhook/${to}`, {
    method: 'POST',
    headers: only ?? { ...signed(text, options), ...headers },
    body: text,
  })
  return send(sent, createApp(config, listener), BINDINGS)
}

const now = (): number => Math.floor(Date.now() / 1000)

describe('signed message', () => {
  it('valid → started by its webhook, each message once', async () => {
    const log = vi.spyOn(console, 'log')
    const { status, body } = await deliver()
    expect(status).toBe(201)
    expect(body.decision).toMatchObject({
      caller: 'webhook:ci',
      outcome: 'admitted',
      trigger: { source: 'webhook', name: 'ci' },
    })
    expect(temporal.starts).toHaveLength(1)
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines).toContainEqual(expect.objectContaining({ event: 'request', caller: 'webhook:ci', status: 201 }))
    expect(JSON.stringify(lines)).not.toContain(SECRET.slice(6))
  })

  it('own trigger metadata and wait → used', async () => {
    const message = { ...BODY, trigger: { name: 'high load' }, reason: 'load', valid_for: '1m' }
    const answer = await deliver(message, { headers: { prefer: 'wait=0' } })
    expect(answer.status).toBe(202)
    expect(answer.body.decision).toMatchObject({ trigger: { name: 'high load' }, reason: 'load' })
  })

  it('envelope of Standard Webhooks → accepted', async () => {
    const message = { type: 'server.sick', timestamp: '2026-01-01T00:00:00Z', data: BODY }
    expect((await deliver(message)).status).toBe(201)
    expect((await deliver({ data: { target: { node: 'web-1' } } }, { to: 'bare' })).status).toBe(201)
  })

  it('one valid signature among several → accepted', async () => {
    const text = JSON.stringify(BODY)
    const options = { id: 'msg_1' }
    const { 'webhook-signature': right = '', ...rest } = signed(text, options)
    const { 'webhook-signature': wrong = '' } = signed(text, { ...options, secret: btoa('x'.repeat(24)) })
    const of = (...list: string[]) => deliver(BODY, { only: { ...rest, 'webhook-signature': list.join(' ') } })
    expect((await of(wrong, `v1a,${right.slice(3)}`)).status).toBe(401)
    expect((await of(wrong, 'v2,AAAA', right)).status).toBe(201)
  })
})

describe('invalid signatures, everyone authorised', () => {
  const text = JSON.stringify(BODY)
  const good = (options?: MessageOptions) => signed(text, options)
  const without = (name: string) => Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name))

  it.each<[string, () => Record<string, string>, string]>([
    ['nothing', () => ({ 'content-type': 'application/json' }), 'no header webhook-id'],
    ['no id', () => without('webhook-id'), 'no header webhook-id'],
    ['no time', () => without('webhook-timestamp'), 'no header webhook-timestamp'],
    ['no signature', () => without('webhook-signature'), 'no header webhook-signature'],
    ['another secret', () => good({ secret: btoa('y'.repeat(24)) }), 'no signature of the message is valid'],
    ['another id', () => ({ ...good(), 'webhook-id': 'msg_2' }), 'no signature of the message is valid'],
    ['another time', () => ({ ...good(), 'webhook-timestamp': String(now() - 1) }), 'no signature'],
    ['a full stop in the id', () => good({ id: 'msg.1' }), 'header webhook-id'],
    ['too long an id', () => good({ id: 'x'.repeat(256) }), 'header webhook-id'],
    ['a zero before the time', () => ({ ...good(), 'webhook-timestamp': `0${now()}` }), 'header webhook-timestamp'],
    ['text after the time', () => ({ ...good(), 'webhook-timestamp': `${now()}x` }), 'header webhook-timestamp'],
    ['a signature without version', () => ({ ...good(), 'webhook-signature': 'AAAA' }), 'header webhook-signature'],
    ['another version', () => ({ ...good(), 'webhook-signature': 'v2,AAAA' }), 'no signature'],
    ['an old time', () => good({ timestamp: now() - 302 }), 'seconds in the past'],
    ['a time to come', () => good({ timestamp: now() + 302 }), 'seconds in the future'],
  ])('%s → 401', async (_, headers, detail) => {
    const answer = await deliver(BODY, { only: headers() })
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(answer.body.detail).toContain(detail)
    expect((await request('GET', '/v1/decisions')).body.items).toEqual([])
  })

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('%s twice', async (name) => {
    const headers = new Headers(good())
    headers.append(name, headers.get(name) ?? '')
    const answer = await deliver(BODY, { only: Object.fromEntries(headers) })
    expect(answer).toMatchObject({
      status: 401,
      body: { detail: expect.stringContaining(`${name}: must be given exactly once`) },
    })
  })

  it('other body, by a space, a byte order mark or an invalid byte → 401', async () => {
    for (const other of [`${text} `, `\ufeff${text}`]) {
      expect((await deliver(other, { only: good() })).status).toBe(401)
    }
    const body = new TextEncoder().encode(text.replace('web-1', '\ufffd'))
    const replaced = new Uint8Array(
      [...body].flatMap((byte) => (byte === 0xef ? [0xff] : byte === 0xbf || byte === 0xbd ? [] : [byte])),
    )
    const sent = new Request('http://coordinator.test/v1/triggers/webhook/ci', {
      method: 'POST',
      headers: signed(text.replace('web-1', '\ufffd')),
      body: replaced,
    })
    expect((await send(sent, createApp(OPEN, 'network'), BINDINGS)).status).toBe(401)
  })

  it('time within five minutes, past or future → accepted', async () => {
    for (const off of [-298, 298]) expect((await deliver(BODY, { timestamp: now() + off })).status).toBe(201)
  })
})

describe('webhook without a usable secret → 503 with its name', () => {
  it.each(['short', 'text', 'empty', 'missing', 'file'])('%s', async (to) => {
    const log = vi.spyOn(console, 'log')
    for (let index = 0; index < 2; index++) {
      const answer = await deliver(BODY, { to })
      expect(answer).toMatchObject({
        status: 503,
        body: { code: 'starting', detail: expect.stringContaining(`"${to}"`) },
      })
      expect(answer.headers.get('retry-after')).toBe('5')
    }
    const lines = log.mock.calls.map(([line]) => String(line))
    expect(lines.filter((line) => line.includes('secret_invalid')).length).toBeLessThanOrEqual(1)
    for (const secret of [BINDINGS.SHORT, BINDINGS.TEXT]) expect(lines.join()).not.toContain(secret)
  })

  it('webhook secret: bare base64 → accepted', async () => {
    expect((await deliver(BODY, { to: 'bare' })).status).toBe(201)
  })
})

describe('route rules', () => {
  const path = '/v1/triggers/webhook/*'
  const starts = '/v1/workflows/*/executions'
  const caller = ['webhook:ci']

  it('endpoint and the start → both must be authorised', async () => {
    const listener = { method: 'POST', route_patterns: [path], uris: caller }
    const both = rules(listener, { method: 'POST', route_patterns: ['/v1/workflows/free/executions'], uris: caller })
    expect((await deliver(BODY, { config: both })).body.decision).toMatchObject({ caller: 'webhook:ci' })
    expect(await deliver({ ...BODY, workflow: 'thrice' }, { config: both })).toMatchObject({
      status: 403,
      body: { code: 'forbidden', detail: 'no rule lets webhook:ci POST /v1/workflows/thrice/executions' },
    })
    expect((await deliver(BODY, { config: rules(listener) })).status).toBe(403)
    expect((await deliver(BODY, { config: rules({ ...listener, route_patterns: [starts] }) })).status).toBe(403)
    expect((await deliver(BODY, { to: 'bare', config: both })).status).toBe(403)
    expect(temporal.starts).toHaveLength(1)
  })

  it('unknown webhook → answer as for an invalid signature', async () => {
    const config = rules({ method: '*', route_patterns: ['/*'], uris: caller })
    const text = JSON.stringify(BODY)
    const tries = [
      {},
      { 'webhook-id': 'x' },
      signed(text, { secret: btoa('z'.repeat(24)) }),
      signed(text, { timestamp: 5 }),
    ]
    for (const only of tries) {
      const [there, gone, unready] = await Promise.all(
        ['ci', 'no', 'short'].map(async (to) => {
          const { status, body } = await deliver(BODY, { to, config, only })
          return JSON.stringify([status, body]).replaceAll(`webhook/${to}`, 'webhook/X')
        }),
      )
      expect(there).toContain('[401,')
      expect(gone).toBe(there)
      expect(unready).toBe(there)
    }
  })

  it('caller authorised otherwise → sees that the webhook is unknown, or what is invalid', async () => {
    expect(await deliver(BODY, { to: 'no' })).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await deliver(BODY, { to: 'no', only: {} })).toMatchObject({ status: 404 })
    expect(await deliver(BODY, { listener: 'local', only: {} })).toMatchObject({ status: 401 })
  })

  it('other methods → 405', async () => {
    const sent = new Request('http://coordinator.test/v1/triggers/webhook/ci')
    expect((await send(sent, createApp(OPEN, 'network'), BINDINGS)).status).toBe(405)
  })
})

describe('body', () => {
  it.each<[unknown, number, string, string[] | undefined]>([
    ['{', 400, 'bad_request', ['']],
    ['[]', 400, 'bad_request', ['']],
    ['', 400, 'bad_request', ['/workflow']],
    [{}, 400, 'bad_request', ['/workflow']],
    [{ data: {} }, 400, 'bad_request', ['/data/workflow']],
    [{ data: null }, 400, 'bad_request', ['/data']],
    [{ data: { workflow: 'free', targt: {} } }, 400, 'bad_request', ['/data/targt']],
    [{ data: BODY, more: 1 }, 400, 'bad_request', ['/more']],
    [{ ...BODY, type: 'x' }, 400, 'bad_request', ['/type']],
    [{ data: BODY, timestamp: 'now' }, 400, 'bad_request', ['/timestamp']],
    [{ ...BODY, workflow: 'a/b' }, 400, 'bad_request', ['/workflow']],
    [{ ...BODY, workflow: 'unknown' }, 404, 'unknown_workflow', undefined],
    [{ workflow: 'free', target: { node: 'NO' } }, 422, 'invalid_target', ['/target/node']],
    [{ data: { workflow: 'free' } }, 422, 'invalid_target', ['/data/target/node']],
    [{ data: { ...BODY, workflow: 'typed', input: { unit: 1 } } }, 422, 'invalid_input', ['/data/input/unit']],
  ])('%j → %i %s at %j', async (body, status, code, paths) => {
    const answer = await deliver(body)
    expect(answer).toMatchObject({ status, body: { code } })
    expect(answer.body.errors?.map((error) => error.path)).toEqual(paths)
  })

  it('not JSON → refused', async () => {
    expect(await deliver(BODY, { headers: { 'content-type': 'text/plain' } })).toMatchObject({ status: 415 })
  })

  it('webhook bound to a workflow → only that one', async () => {
    expect((await deliver(BODY, { to: 'bare' })).status).toBe(201)
    const answer = await deliver({ ...BODY, workflow: 'thrice' }, { to: 'bare' })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: '/workflow' }] } })
  })
})

describe('replays', () => {
  it('new attempt with the same id → same start; same attempt → refused', async () => {
    const at = now() - 2
    const first = await deliver(BODY, { id: 'msg_1', timestamp: at })
    expect(first.status).toBe(201)
    const again = await deliver(BODY, { id: 'msg_1', timestamp: at + 1 })
    expect(again).toMatchObject({ status: 200, body: { execution: { id: first.body.execution.id } } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    for (const timestamp of [at, at + 1]) {
      expect(await deliver(BODY, { id: 'msg_1', timestamp })).toMatchObject({ status: 409, body: { code: 'replayed' } })
    }
    expect(await deliver({ ...BODY, reason: 'other' }, { id: 'msg_1' })).toMatchObject({
      status: 409,
      body: { code: 'idempotency_conflict' },
    })
    expect(temporal.starts).toHaveLength(1)
  })

  it('restart, twenty at once, several webhooks → one passes per webhook', async () => {
    const attempt = { id: 'msg_1', timestamp: now() }
    const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(BODY, attempt)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ body }) => body.code === 'replayed')).toHaveLength(19)
    await abortAllDurableObjects()
    expect((await deliver(BODY, attempt)).body.code).toBe('replayed')
    await sendHeartbeats()
    expect((await deliver(BODY, { ...attempt, to: 'bare' })).status).toBe(201)
  })

  it('message expired → forgotten', async () => {
    const begin = Math.floor(Date.now() / 1000) * 1000
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(begin)
    const early = { id: 'early', timestamp: begin / 1000 + 300 }
    expect((await deliver(BODY, early)).status).toBe(201)
    vi.setSystemTime(begin + 600_999)
    expect((await deliver(BODY, early)).body.code).toBe('replayed')
    vi.setSystemTime(begin + 601_000)
    expect((await deliver(BODY, early)).status).toBe(401)
    vi.setSystemTime(begin + HOUR)
    await sendHeartbeats()
    expect((await deliver(BODY, { id: 'late' })).status).toBe(201)
    expect(await sql('SELECT id FROM messages')).toEqual([{ id: 'late' }])
  })

  it('delivery answered with 503 → can be repeated', async () => {
    const message = { workflow: 'free', target: { node: 'web-9' } }
    expect((await deliver(message, { id: 'msg_1', timestamp: now() - 1 })).status).toBe(503)
    await sendHeartbeats(['web-9'])
    expect((await deliver(message, { id: 'msg_1' })).status).toBe(201)
  })

  it('ledger unavailable → nothing started', async () => {
    const broken = vi.spyOn(LedgerObject.prototype, 'remember').mockImplementation(() => {
      throw new Error('disk full')
    })
    expect(await deliver(BODY, { id: 'msg_1' })).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } })
    broken.mockImplementation(() => 'full')
    expect(await deliver(BODY, { id: 'msg_1' })).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } })
    expect(temporal.starts).toHaveLength(0)
    broken.mockRestore()
    expect((await deliver(BODY, { id: 'msg_1' })).status).toBe(201)
  })
})
