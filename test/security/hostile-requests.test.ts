import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Answer, admitted, callSocket, type Execution, problem, wellFormed } from '../support/http.ts'
import { rawRequest, sendRaw } from '../support/raw-http.ts'

const anywhere = 'task_queue_target = "datacenter"'
const project = writeProject({
  ...napping('nap', anywhere),
  ...napping('node-nap', 'task_queue_target = "node"'),
  ...napping(
    'strict',
    `${anywhere}
    input "unit" {
      type = "string"
      required = true
      pattern = "^[a-z]+$"
    }
    input "count" { type = "number" }
    input "force" {
      type = "bool"
      default = false
    }
    input "more" { type = "object" }`,
  ),
})

let dev: Dev
let coordinatorPid: number
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web'] })
  coordinatorPid = dev.pid('coordinator')
})

/** The same process serves the next request. */
const stillServes = async () => {
  expect((await dev.call('/v1/workflows/nap')).status).toBe(200)
  expect(dev.pid('coordinator')).toBe(coordinatorPid)
}
/** A hostile start of a workflow; `strict` is the choosy one. */
const hostile = async (body: unknown, headers: Record<string, string> = {}, name = 'nap') => {
  const answer = await dev.start(name, body, { 'content-type': 'application/json', ...headers })
  await stillServes()
  return answer
}
const raw = async (bytes: string | Buffer) => {
  const answer = await sendRaw(dev.coordinator, bytes)
  await stillServes()
  return answer
}
/** A JSON object of exactly this many bytes. */
const ofSize = (bytes: number) => {
  const around = JSON.stringify({ input: { pad: '' } })
  return JSON.stringify({ input: { pad: 'x'.repeat(bytes - around.length) } })
}

describe('a body that is too large is 413', () => {
  const limit = 64 * 1024

  test('64 KiB are not', async () => {
    expect(Buffer.byteLength(ofSize(limit))).toBe(limit)
    admitted(await hostile(ofSize(limit), { prefer: 'wait=30' }))
  })

  test.each([limit + 1, 65 * 1024, 1024 * 1024])('%i bytes are', async (size) => {
    problem(await hostile(ofSize(size)), 413, 'too_large')
  })

  test('without a Content-Length too', async () => {
    const answer = await fetch(`${dev.coordinator}/v1/workflows/nap/executions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([ofSize(65 * 1024)]).stream(),
      duplex: 'half',
    })
    const text = await answer.text()
    const { status, headers } = answer
    problem({ status, headers, text, body: JSON.parse(text) as unknown }, 413, 'too_large')
    await stillServes()
  })

  test('in bytes, not in characters', async () => {
    const pad = '€'.repeat(22_000)
    problem(await hostile({ input: { pad } }), 413, 'too_large')
  })

  test('before anything else is looked at', async () => {
    problem(await hostile(ofSize(65 * 1024), {}, 'no-such'), 413, 'too_large')
    problem(await hostile('x'.repeat(65 * 1024), { 'content-type': 'text/plain' }), 413, 'too_large')
  })

  test('one that was announced and never comes does no harm', async () => {
    const head = 'POST /v1/workflows/nap/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    const answer = await raw(`${head}Content-Length: 999999999\r\nConnection: close\r\n\r\n{`)
    problem(answer, 413, 'too_large')
  })
})

describe('a body that is not JSON is 400 or 415', () => {
  test.each([
    ['nothing but a space', ' '],
    ['an open object', '{"reason": "x"'],
    ['single quotes', "{'reason': 'x'}"],
    ['a comma too many', '{"reason": "x",}'],
    ['text after it', '{} {}'],
    ['NaN', '{"input": {"a": NaN}}'],
    ['a control character', '{"reason": "a\u0000b"}'],
    ['many open brackets', '['.repeat(60_000)],
    [
      'a byte that is not UTF-8',
      Buffer.from([0x7b, 0x22, 0x72, 0x65, 0x61, 0x73, 0x6f, 0x6e, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
    ],
    ['UTF-16', Buffer.from('\ufeff{}', 'utf16le')],
  ])('%s', async (_, body) => {
    problem(await hostile(body), 400, 'bad_request')
  })

  test.each(['[]', '"text"', '5', 'null', 'true', '[{}]'])('%s is JSON, and no object', async (body) => {
    const { errors } = problem(await hostile(body), 400, 'bad_request')
    expect(errors).toMatchObject([{ path: '', message: expect.stringMatching(/./) }])
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'json',
    ',',
  ])('as %s it is 415', async (type) => {
    problem(await hostile('{}', { 'content-type': type }), 415, 'unsupported_media_type')
  })

  test('without a type it is 415', async () => {
    const bytes =
      'POST /v1/workflows/nap/executions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'
    problem(await raw(bytes), 415, 'unsupported_media_type')
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="UTF-8"'])(
    'as %s it is fine',
    async (type) => {
      admitted(await hostile('{}', { 'content-type': type, prefer: 'wait=30' }))
    },
  )
})

describe('a wrong type or an unknown field is 400, and the pointer tells where', () => {
  test.each<[string, unknown]>([
    ['/foo', { foo: 1 }],
    ['/Reason', { Reason: 'x' }],
    ['/a~1b~0c', { 'a/b~c': 1 }],
    ['/', { '': 1 }],
    ['/💥', { '💥': 1 }],
    ['/constructor', { constructor: {} }],
    ['/toString', { toString: 1 }],
    ['/__proto__', '{"__proto__": {"reason": "x"}}'],
    ['/at', { at: '2100-01-01T00:00:00.000Z' }],
    ['/reason', { reason: 5 }],
    ['/reason', { reason: ['x'] }],
    ['/input', { input: [] }],
    ['/input', { input: 'x' }],
    ['/input', { input: 5 }],
    ['/target', { target: 'web-1' }],
    ['/target', { target: ['web-1'] }],
    ['/target/node', { target: { node: 5 } }],
    ['/target/node', { target: { node: { a: 1 } } }],
    ['/target/foo', { target: { foo: 1 } }],
    ['/target/datacenter', { target: { datacenter: [] } }],
    ['/trigger', { trigger: 'prometheus' }],
    ['/trigger/source', { trigger: { source: 5 } }],
    ['/trigger/name', { trigger: { name: {} } }],
    ['/trigger/fingerprint', { trigger: { fingerprint: false } }],
    ['/trigger/foo', { trigger: { source: 'x', foo: 1 } }],
    ['/valid_for', { valid_for: 600 }],
    ['/valid_for', { valid_for: 'soon' }],
    ['/valid_for', { valid_for: '10 minutes' }],
    ['/valid_for', { valid_for: '-5s' }],
    ['/valid_for', { valid_for: '' }],
  ])('%s in %j', async (path, body) => {
    const { errors } = problem(await hostile(body), 400, 'bad_request')
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(/./) }])
  })

  test('all of several mistakes are told', async () => {
    const { errors } = problem(await hostile({ reason: 5, foo: 1, target: { node: 5 } }), 400, 'bad_request')
    expect(errors?.map(({ path }) => path).sort()).toEqual(['/foo', '/reason', '/target/node'])
  })
})

describe('an input that the workflow does not take is 422', () => {
  test.each<[string, unknown]>([
    ['/input/unit', {}],
    ['/input/unit', { input: {} }],
    ['/input/unit', { input: { unit: 5 } }],
    ['/input/unit', { input: { unit: null } }],
    ['/input/unit', { input: { unit: 'Nginx' } }],
    ['/input/unit', { input: { unit: 'nginx\n' } }],
    ['/input/foo', { input: { unit: 'nginx', foo: 1 } }],
    ['/input/a~1b', { input: { unit: 'nginx', 'a/b': 1 } }],
    ['/input/constructor', { input: { unit: 'nginx', constructor: 1 } }],
    ['/input/__proto__', '{"input": {"unit": "nginx", "__proto__": {"count": 1}}}'],
    ['/input/count', { input: { unit: 'nginx', count: '1' } }],
    ['/input/force', { input: { unit: 'nginx', force: 1 } }],
    ['/input/more', { input: { unit: 'nginx', more: [] } }],
    ['/input/more', { input: { unit: 'nginx', more: null } }],
  ])('%s in %j', async (path, body) => {
    const { errors } = problem(await hostile(body, {}, 'strict'), 422, 'invalid_input')
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(/./) }])
  })

  test('one that it takes is fine', async () => {
    const input = { unit: 'nginx', count: 1.5, more: { a: [] } }
    admitted(await hostile({ input }, { prefer: 'wait=30' }, 'strict'))
  })
})

describe('a target that is no name is 422', () => {
  test.each([
    '',
    'a/b',
    'a%2Fb',
    '..',
    'a..b',
    'WEB-1',
    'web 1',
    '💥',
    'a\u0000b',
    'x'.repeat(64),
    '-a',
    'dc1:node:web-1',
  ])('%j', async (node) => {
    const { errors } = problem(await hostile({ target: { node } }, {}, 'node-nap'), 422, 'invalid_target')
    expect(errors).toMatchObject([{ path: '/target/node' }])
  })

  test('the longest name is one', async () => {
    problem(await hostile({ target: { node: 'x'.repeat(63) } }, {}, 'node-nap'), 503, 'no_worker')
  })
})

describe('a path that leads nowhere is 404', () => {
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
  ])('/v1/workflows/%s/executions', async (name) => {
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
  ])('%s %s', async (method, path) => {
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
  ])('%s %s: nothing is there yet', async (method, path) => {
    const answer = await raw(rawRequest(method, path, method === 'GET' ? undefined : '{}'))
    problem(answer, 404, 'not_found')
  })

  test('a name in percent encoding is that name', async () => {
    admitted(await raw(rawRequest('POST', '/v1/workflows/n%61p/executions', '{}', ['Prefer: wait=30'])))
  })

  test('a path with dots is the path without them, or none', async () => {
    const answer = await raw(rawRequest('GET', '/v1/nodes/../workflows/nap'))
    expect([200, 404]).toContain(answer.status)
    if (answer.status === 404) wellFormed(answer)
  })

  test('an absolute target is the path that it names', async () => {
    const answer = await raw(rawRequest('GET', 'http://elsewhere.example/v1/workflows/nap'))
    expect(answer.status).toBe(200)
    problem(await raw(rawRequest('GET', 'http://elsewhere.example/nope')), 404, 'not_found')
  })
})

describe('a method that a path does not have is 405, and Allow tells which it has', () => {
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
  ])('%s %s', async (method, path, allowed) => {
    const answer = await dev.call(path, { method })
    problem(answer, 405, 'method_not_allowed')
    const allow = (answer.headers.get('allow') ?? '').split(',').map((name) => name.trim())
    expect(allow.filter((name) => name !== 'HEAD' && name !== 'OPTIONS').sort()).toEqual(allowed)
    await stillServes()
  })

  test('HEAD is GET without a body', async () => {
    for (const path of ['/v1/workflows', '/v1/workflows/nap', '/metrics', '/healthz']) {
      expect(await dev.call(path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
    }
    expect(await dev.call('/v1/workflows/no-such', { method: 'HEAD' })).toMatchObject({ status: 404, text: '' })
    expect(await dev.call('/v1/workflows/nap/executions', { method: 'HEAD' })).toMatchObject({ status: 405, text: '' })
  })
})

describe('a bad header is 400', () => {
  test.each(['', 'x'.repeat(256), 'x'.repeat(5_000)])(
    'Idempotency-Key of another length than 1 to 255',
    async (key) => {
      problem(await hostile({}, { 'idempotency-key': key }), 400, 'bad_request')
    },
  )

  test('Idempotency-Key of 255 characters is fine', async () => {
    admitted(await hostile({}, { 'idempotency-key': 'x'.repeat(255), prefer: 'wait=30' }))
  })

  test.each(['wait=abc', 'wait=-1', 'wait=', 'wait=1.5'])('Prefer: %s', async (prefer) => {
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
  ])('Prefer: %s is fine', async (prefer) => {
    const answer = await hostile({}, { prefer })
    expect([201, 202]).toContain(answer.status)
  })

  test('headers that come twice do no harm', async () => {
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

  test('headers for tracing are taken or left', async () => {
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

describe('a bad query is 400', () => {
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
  ])('%s', async (path) => {
    problem(await dev.call(path), 400, 'bad_request')
    await stillServes()
  })

  test.each(['/v1/executions?limit=1', '/v1/executions?limit=500', '/v1/decisions?limit=500'])(
    '%s is fine',
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
  ])('%s fits nothing, or is refused', async (path) => {
    const answer = await dev.call<{ items?: unknown[] }>(path)
    if (answer.status !== 200) problem(answer, 400, 'bad_request')
    expect(answer.body.items ?? []).toEqual([])
    await stillServes()
  })
})

describe('odd but correct JSON is taken as it is, or refused', () => {
  const fineOrRefused = async (answer: Answer<unknown>) => {
    if (answer.status !== 201) {
      problem(answer, 400, 'bad_request')
      return undefined
    }
    return dev.reaches(admitted(answer).execution.id, 'completed')
  }
  const headers = { prefer: 'wait=30' }

  test.each([100, 1_000, 10_000])('objects %i deep', async (depth) => {
    const body = `{"input": {"a": ${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}}`
    const keyed = { ...headers, 'idempotency-key': `deep-${depth}` }
    await fineOrRefused(await hostile(body.length <= 65_536 ? body : '{', keyed))
  })

  test('lists 30,000 deep', async () => {
    const body = `{"input": {"a": ${'['.repeat(30_000)}${']'.repeat(30_000)}}}`
    await fineOrRefused(await hostile(body, { ...headers, 'idempotency-key': 'lists' }))
  })

  test('half a surrogate pair', async () => {
    await fineOrRefused(
      await hostile('{"reason": "\\ud800", "input": {"a": "\\udc00"}}', { ...headers, 'idempotency-key': 'half' }),
    )
  })

  test('U+0000', async () => {
    await fineOrRefused(await hostile('{"reason": "a\\u0000b", "trigger": {"source": "\\u0000"}}', headers))
  })

  test('numbers beyond a double', async () => {
    await fineOrRefused(await hostile('{"input": {"a": 1e999, "b": -0, "c": 123456789012345678901234567890}}', headers))
  })

  test('__proto__ in an input pollutes nothing', async () => {
    await fineOrRefused(
      await hostile('{"input": {"__proto__": {"ms": 60000}, "constructor": {"prototype": {"x": 1}}}}', headers),
    )
    const { execution } = await dev.started('nap')
    expect(await dev.reaches(execution.id, 'completed')).toMatchObject({ result: { slept: 0 } })
  })

  test('thousands of keys', async () => {
    const input = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index]))
    await fineOrRefused(await hostile({ input }, headers))
    const { errors } = problem(await hostile(input), 400, 'bad_request')
    expect(errors?.length).toBeGreaterThan(0)
  })
})

describe('other routes with a body', () => {
  test.each<[string, unknown]>([
    ['/datacenter', { datacenter: 5 }],
    ['/types', { types: 'web' }],
    ['/queues/0/name', { queues: [{ name: 5, workflow_types: [], activity_types: [] }] }],
    ['/draining', { draining: 'yes' }],
    ['/closed', { closed: 'x' }],
    ['/foo', { foo: 1 }],
  ])('a heartbeat with a wrong %s is 400', async (path, wrong) => {
    const good = { datacenter: 'dc1', types: [], labels: {}, build_id: 'b', boot_id: 'b', draining: false, queues: [] }
    const answer = await dev.call('/v1/nodes/guest', { method: 'PUT', body: { ...good, ...(wrong as object) } })
    const { errors } = problem(answer, 400, 'bad_request')
    expect(errors).toMatchObject([{ path }])
    await stillServes()
  })

  test('a heartbeat that is no JSON, too large or of another type', async () => {
    const put = (body: unknown, headers = {}) => dev.call('/v1/nodes/guest', { method: 'PUT', body, headers })
    problem(await put('{'), 400, 'bad_request')
    problem(await put('{}', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type')
    problem(await put(JSON.stringify({ datacenter: 'x'.repeat(65_536) })), 413, 'too_large')
  })

  test('a cancel with a wrong body', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    const cancel = (body: unknown) => dev.call<Execution>(`/v1/executions/${execution.id}/cancel`, { body })
    expect(problem(await cancel({ foo: 1 }), 400, 'bad_request').errors).toMatchObject([{ path: '/foo' }])
    expect(problem(await cancel({ reason: 5 }), 400, 'bad_request').errors).toMatchObject([{ path: '/reason' }])
    expect((await dev.execution(execution.id)).status).toBe('running')
    expect((await cancel({})).status).toBe(202)
  })

  test('an evaluation with a wrong body', async () => {
    const evaluate = (body: unknown) => dev.call('/v1/workflows/nap/evaluate', { body })
    problem(await evaluate('{'), 400, 'bad_request')
    expect(problem(await evaluate({ at: 5 }), 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
    for (const at of ['soon', '5', '2100-01-01', '']) {
      expect(problem(await evaluate({ at }), 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
    }
  })
})

test('bytes that are no HTTP do no harm', async () => {
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

test('the socket refuses the same', async () => {
  const answer = await callSocket(dev.file.socket, '/v1/workflows/nap/executions', { body: { foo: 1 } })
  expect(problem(answer, 400, 'bad_request').errors).toMatchObject([{ path: '/foo' }])
})

test('what was refused stands in no list and counts for nothing', async () => {
  const { body } = await dev.call<{ items: { outcome: string; code: string }[] }>(
    '/v1/decisions?outcome=denied&limit=500',
  )
  expect(new Set(body.items.map(({ code }) => code))).toEqual(new Set(['no_worker']))
})
