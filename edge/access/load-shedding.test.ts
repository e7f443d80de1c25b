import { createExecutionContext } from 'cloudflare:test'
import compiled from 'resile:config'
import { afterEach, expect, it, vi } from 'vitest'
import { type Config, documentSchema } from '../../shared/config.ts'
import { createApp } from '../app.ts'
import { type Answer, request, send } from '../testing/coordinator.ts'
import { cleanUp } from '../testing/fresh.ts'
import type { Listener } from './identify.ts'

afterEach(cleanUp)

const START = '/v1/workflows/free/executions'

function configWith(server: object | null): Config {
  const base = compiled as { coordinator: object }
  return documentSchema.parse({
    ...base,
    coordinator: { ...base.coordinator, ...(server === null ? {} : { server_config: server }) },
  })
}

const PUBLIC = {
  requests_per_second: 2,
  route_rule: [{ name: 'all', method: '*', route_patterns: ['/healthz', '/v1/*'], allow_public: true }],
}

/** Makes calls of one application, time standing still. */
function caller(server: object | null, listener: Listener = 'network') {
  vi.useFakeTimers({ toFake: ['Date'] })
  const app = createApp(configWith(server), listener)
  return async (method: string, path: string, cf?: object, headers = {}): Promise<Answer> => {
    const init = { method, headers, ...(cf === undefined ? {} : { cf: cf as RequestInitCfProperties }) }
    return send(new Request(`http://coordinator.test${path}`, init), app)
  }
}

async function statuses(count: number, call: () => Promise<Answer>): Promise<number[]> {
  const list: number[] = []
  for (let index = 0; index < count; index++) list.push((await call()).status)
  return list
}

it('load shedding: too many triggers of a caller → triggers shed first, operations pass', async () => {
  const call = caller(PUBLIC)
  const triggers = await statuses(10, () => call('POST', START))
  expect(triggers).toEqual([...Array.from({ length: 8 }, () => 422), 429, 429])
  const answer = await call('POST', START)
  expect(answer).toMatchObject({ status: 429, body: { code: 'too_many_requests' } })
  expect(answer.headers.get('retry-after')).toBe('1')
  expect(answer.headers.get('x-request-id')).not.toBeNull()
  expect(await statuses(3, () => call('GET', '/healthz'))).toEqual([200, 200, 429])
  vi.setSystemTime(Date.now() + 500)
  expect((await call('GET', '/healthz')).status).toBe(200)
})

it('load shedding: anonymous callers → counted per address from the TLS terminator, not from a header', async () => {
  const call = caller(PUBLIC)
  const from = (clientIp: string) => () =>
    call('GET', '/healthz', { clientIp }, { 'cf-connecting-ip': crypto.randomUUID() })
  expect((await statuses(11, from('192.0.2.1'))).at(-1)).toBe(429)
  expect((await from('192.0.2.2')()).status).toBe(200)
  // An IPv6 address costs its holder nothing: a network is counted as one.
  for (let index = 0; index < 10; index += 1) await from(`2001:db8::${index + 1}`)()
  expect((await from('2001:db8::ffff')()).status).toBe(429)
  expect((await from('2001:db8:0:1::1')()).status).toBe(200)
  const headers = () => call('GET', '/healthz', undefined, { 'cf-connecting-ip': crypto.randomUUID() })
  expect((await statuses(11, headers)).at(-1)).toBe(429)
})

it('load shedding: invalid credentials → counted too', async () => {
  const call = caller({ requests_per_second: 1, enable_tls: true, route_rule: [] })
  const none = () => call('GET', '/v1/nodes')
  expect(await statuses(6, none)).toEqual([401, 401, 401, 401, 401, 429])
  const bad = { clientIp: '192.0.2.9', tlsClientAuth: { certPresented: '1', certVerified: 'FAILED:expired' } }
  expect(await statuses(6, () => call('GET', '/v1/nodes', bad))).toEqual([401, 401, 401, 401, 401, 429])
})

it('load shedding: local operator, or development without server_config → no limit', async () => {
  const local = caller({ requests_per_second: 1 }, 'local')
  expect(new Set(await statuses(20, () => local('GET', '/healthz')))).toEqual(new Set([200]))
  const development = caller(null)
  expect(new Set(await statuses(600, () => development('GET', '/healthz')))).toEqual(new Set([200]))
})

it('load shedding: 512 in flight → triggers shed; 1024 → everything; both counted', async () => {
  const app = createApp(configWith({ ...PUBLIC, requests_per_second: 10_000 }), 'network')
  const open: ReadableStreamDefaultController<Uint8Array>[] = []
  /** A request whose body doesn't come yet. */
  const hanging = (): Promise<Response> => {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void open.push(controller) })
    const sent = new Request('http://coordinator.test/v1/freezes', { method: 'POST', body })
    return Promise.resolve(app.fetch(sent, {}, createExecutionContext()))
  }
  const call = (method: string, path: string) => send(new Request(`http://coordinator.test${path}`, { method }), app)
  const answers = Array.from({ length: 512 }, hanging)
  const shed = await call('POST', START)
  expect(shed).toMatchObject({ status: 503, body: { code: 'overloaded' } })
  expect(shed.headers.get('retry-after')).toBe('5')
  expect((await call('GET', '/healthz')).status).toBe(200)
  answers.push(...Array.from({ length: 512 }, hanging))
  expect((await call('GET', '/healthz')).status).toBe(503)
  for (const controller of open) controller.close()
  await Promise.all(answers.map(async (answer) => (await answer).text()))
  expect((await call('POST', START)).status).toBe(422)
  const { body } = await request('GET', '/metrics')
  expect(String(body.answer)).toMatch(/^resile_requests_shed_total\{reason="overloaded"\} 2$/m)
  expect(String(body.answer)).toMatch(/^resile_requests_shed_total\{reason="too_many_requests"\} \d+$/m)
})
