/** Paths, methods, headers, queries and bytes that lead nowhere: each is refused, and the coordinator goes on. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Dev } from '../support/dev.ts'
import { HostilityTarget } from '../support/hostility-target.ts'
import { admitted, callSocket, problem, wellFormed } from '../support/http.ts'
import { rawRequest, sendRaw } from '../support/raw-http.ts'

let target: HostilityTarget
let dev: Dev
beforeAll(async () => {
  target = await HostilityTarget.start()
  dev = target.dev
})

const stillServes = async () => target.stillServes()
const hostile: HostilityTarget['start'] = async (...sent) => target.start(...sent)
const raw = async (bytes: string | Buffer) => target.raw(bytes)

describe('path', () => {
  test.each([
    'no-such',
    'constructor',
    'a%2Fb',
    'nap%2F..%2Fnap',
    '%2e%2e',
    '%2E%2E%2Fnap',
    '..%2fnap',
    '%F0%9F%92%A5',
    'nap%00',
    '%00',
    'nap%0A',
    'nap%20',
    'NAP',
    'a..b',
    '-nap',
    'nap:x',
    'nap;x',
    'nap%25',
    'nap%',
    '%zz',
    '%ff',
    '__proto__',
    'x'.repeat(64),
    'x'.repeat(4_000),
  ])('/v1/workflows/%s/executions → 404', async (name) => {
    const answer = await raw(rawRequest('POST', `/v1/workflows/${name}/executions`, '{}'))
    expect(answer.status).toBe(404)
    expect(['not_found', 'unknown_workflow']).toContain(wellFormed(answer).code)
  })

  test.each([
    ['POST', '/v1/workflows//executions'],
    ['POST', '//v1/workflows/nap/executions'],
    ['POST', '/v1/workflows/nap/executions/'],
    ['POST', '/v1/workflows/../x'],
    ['POST', '/v1/workflows/nap/executions/..%2f..%2fnap'],
    ['POST', '/v1/workflows/nap/%65xecutionz'],
    ['GET', '/v1/workflows/'],
    ['GET', '/v1'],
    ['GET', '/V1/workflows'],
    ['GET', '/v1/nope'],
    ['GET', '/v1/executions/'],
    ['GET', '/v1/executions/not-an-id'],
    ['GET', '/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4'],
    ['GET', '/v1/executions/%2e%2e'],
    ['GET', '/v1/executions/..%2fworkflows'],
    ['GET', '/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4%2Fcancel'],
    ['POST', '/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4/cancel'],
    ['POST', '/v1/executions/%00/cancel'],
    ['GET', '/v1/decisions/not-an-id'],
    ['GET', '/v1/decisions/01912d68-783e-7a03-8467-5661c1243ad4'],
    ['GET', '/v1/nodes/nowhere'],
    ['GET', '/v1/nodes/%2F'],
    ['PUT', '/v1/nodes/a%2Fb'],
    ['PUT', '/v1/nodes/A'],
  ])('%s %s → 404', async (method, path) => {
    const answer = await raw(rawRequest(method, path, method === 'GET' ? undefined : '{}'))
    expect(answer.status).toBe(404)
    expect(wellFormed(answer).code).toMatch(/^(not_found|unknown_workflow)$/)
  })

  test.each([
    ['GET', '/'],
    ['GET', '/v1/events'],
    // Doors that coordinator.hcl doesn't open.
    ['POST', '/v1/triggers/slack'],
    ['POST', '/v1/triggers/pagerduty'],
  ])('%s %s, nothing there yet → 404', async (method, path) => {
    const answer = await raw(rawRequest(method, path, method === 'GET' ? undefined : '{}'))
    problem(answer, 404, 'not_found')
  })

  test('name in percent encoding → that name', async () => {
    admitted(await raw(rawRequest('POST', '/v1/workflows/n%61p/executions', '{}', ['Prefer: wait=30'])))
  })

  test('path with dots → the path without them, or 404', async () => {
    const answer = await raw(rawRequest('GET', '/v1/nodes/../workflows/nap'))
    expect([200, 404]).toContain(answer.status)
    if (answer.status === 404) wellFormed(answer)
  })

  test('absolute target → the path that it names', async () => {
    const answer = await raw(rawRequest('GET', 'http://elsewhere.example/v1/workflows/nap'))
    expect(answer.status).toBe(200)
    problem(await raw(rawRequest('GET', 'http://elsewhere.example/nope')), 404, 'not_found')
  })
})

describe('method', () => {
  test.each<[string, string, string[]]>([
    ['GET', '/v1/workflows/nap/executions', ['POST']],
    ['DELETE', '/v1/workflows/nap/executions', ['POST']],
    ['PUT', '/v1/workflows/nap/executions', ['POST']],
    ['GET', '/v1/workflows/nap/evaluate', ['POST']],
    ['POST', '/v1/workflows', ['GET']],
    ['POST', '/v1/workflows/nap', ['GET']],
    ['POST', '/v1/executions', ['GET']],
    ['DELETE', '/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4', ['GET']],
    ['GET', '/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4/cancel', ['POST']],
    ['PATCH', '/v1/decisions', ['GET']],
    ['POST', '/v1/nodes', ['GET']],
    ['DELETE', '/v1/nodes/web-1', ['GET', 'PUT']],
    ['POST', '/metrics', ['GET']],
    ['POST', '/healthz', ['GET']],
    ['POST', '/readyz', ['GET']],
    ['DELETE', '/openapi.json', ['GET']],
  ])('%s %s → 405 with Allow', async (method, path, allowed) => {
    const answer = await dev.call(path, { method })
    problem(answer, 405, 'method_not_allowed')
    const allow = (answer.headers.get('allow') ?? '').split(',').map((name) => name.trim())
    expect(allow.filter((name) => name !== 'HEAD' && name !== 'OPTIONS').sort()).toEqual(allowed)
    await stillServes()
  })

  test('HEAD → GET without a body', async () => {
    for (const path of ['/v1/workflows', '/v1/workflows/nap', '/metrics', '/healthz']) {
      expect(await dev.call(path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
    }
    expect(await dev.call('/v1/workflows/no-such', { method: 'HEAD' })).toMatchObject({ status: 404, text: '' })
    expect(await dev.call('/v1/workflows/nap/executions', { method: 'HEAD' })).toMatchObject({ status: 405, text: '' })
  })
})

describe('header', () => {
  test.each(['', 'x'.repeat(256), 'x'.repeat(5_000)])(
    'Idempotency-Key longer than 255 characters, or empty (%#) → 400',
    async (key) => {
      problem(await hostile({}, { 'idempotency-key': key }), 400, 'bad_request')
    },
  )

  test('Idempotency-Key of 255 characters → accepted', async () => {
    admitted(await hostile({}, { 'idempotency-key': 'x'.repeat(255), prefer: 'wait=30' }))
  })

  test.each(['wait=abc', 'wait=-1', 'wait=', 'wait=1.5'])('Prefer: %s → 400', async (prefer) => {
    problem(await hostile({}, { prefer }), 400, 'bad_request')
  })

  test.each([
    'wait=31',
    'wait=99999999999999999999',
    'WAIT=5',
    'respond-async, wait=5',
    'wait="5"',
    'return=minimal',
    'wait=5;x=y',
  ])('Prefer: %s → accepted', async (prefer) => {
    const answer = await hostile({}, { prefer })
    expect([201, 202]).toContain(answer.status)
  })

  test('headers that come twice → do no harm', async () => {
    const twice = [
      'Idempotency-Key: a',
      'Idempotency-Key: b',
      'Prefer: wait=5',
      'Prefer: wait=0',
      'X-Request-Id: a',
      'X-Request-Id: b',
    ]
    const answer = await raw(rawRequest('POST', '/v1/workflows/nap/executions', '{}', twice))
    expect([201, 202, 400]).toContain(answer.status)
    const types = await raw(rawRequest('POST', '/v1/workflows/nap/executions', '{}', ['Content-Type: text/plain']))
    expect([201, 202, 400, 415]).toContain(types.status)
  })

  test('headers for tracing → used or ignored', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    for (const value of [traceparent, 'nonsense', '00-0-0-0', 'x'.repeat(2_000)]) {
      expect([201, 202]).toContain((await hostile({}, { traceparent: value })).status)
    }
    expect((await hostile({}, { 'x-request-id': 'mine-1' })).headers.get('x-request-id')).toBe('mine-1')
    expect((await hostile({})).headers.get('x-request-id')).toMatch(/./)
    expect((await hostile('[')).headers.get('x-request-id')).toMatch(/./)
    expect((await hostile({}, { 'x-request-id': 'x'.repeat(4_000) })).status).toBeLessThan(500)
  })
})

describe('query', () => {
  test.each([
    '/v1/executions?limit=0',
    '/v1/executions?limit=501',
    '/v1/executions?limit=-1',
    '/v1/executions?limit=1.5',
    '/v1/executions?limit=ten',
    '/v1/executions?limit=',
    '/v1/executions?limit=1e2',
    '/v1/executions?cursor=nonsense',
    '/v1/executions?cursor=%00',
    '/v1/executions?cursor=%F0%9F%92%A5',
    '/v1/executions?status=bogus',
    '/v1/executions?status=constructor',
    '/v1/decisions?limit=0',
    '/v1/decisions?cursor=nonsense',
    '/v1/decisions?outcome=bogus',
    '/v1/decisions?since=yesterday',
    '/v1/decisions?since=5',
    '/v1/decisions?since=2026-01-01',
    '/v1/decisions?since=',
  ])('%s → 400', async (path) => {
    problem(await dev.call(path), 400, 'bad_request')
    await stillServes()
  })

  test.each(['/v1/executions?limit=1', '/v1/executions?limit=500', '/v1/decisions?limit=500'])(
    '%s → accepted',
    async (path) => {
      expect((await dev.call(path)).status).toBe(200)
    },
  )

  test.each([
    '/v1/executions?workflow=%27%20OR%201=1--',
    '/v1/executions?node=%F0%9F%92%A5',
    '/v1/executions?node=%00',
    '/v1/decisions?caller=%27;drop%20table%20decisions;--',
    '/v1/decisions?code=__proto__',
  ])('%s → empty list, or refused', async (path) => {
    const answer = await dev.call<{ items?: unknown[] }>(path)
    if (answer.status !== 200) problem(answer, 400, 'bad_request')
    expect(answer.body.items ?? []).toEqual([])
    await stillServes()
  })
})

test('bytes: no HTTP → refused, coordinator goes on', async () => {
  for (const bytes of [
    '\0\0\0\0\r\n\r\n',
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  ]) {
    const answer = await sendRaw(dev.coordinator, bytes).catch(() => undefined)
    expect(answer?.status ?? 0).not.toBe(200)
    await stillServes()
  }
})

test('unix socket: invalid request → refused alike', async () => {
  const answer = await callSocket(dev.file.socket, '/v1/workflows/nap/executions', { body: { foo: 1 } })
  expect(problem(answer, 400, 'bad_request').errors).toMatchObject([{ path: '/foo' }])
})

test('refused requests: after all of them → in no list, counted for nothing', async () => {
  const { body } = await dev.call<{ items: unknown[] }>('/v1/decisions?outcome=denied&limit=500')
  expect(body.items).toEqual([])
})
