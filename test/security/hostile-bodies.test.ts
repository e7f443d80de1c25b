/** Bodies that a start, a heartbeat, a cancel or an evaluation can't take: each is refused, and the coordinator goes on. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { SignalSummary } from '../../shared/wire.ts'
import type { Dev } from '../support/dev.ts'
import { HostilityTarget } from '../support/hostility-target.ts'
import { type Answer, admitted, type Execution, type List, problem } from '../support/http.ts'
import { until } from '../support/until.ts'

let target: HostilityTarget
let dev: Dev
beforeAll(async () => {
  target = await HostilityTarget.start()
  dev = target.dev
})

const stillServes = async () => target.stillServes()
const hostile: HostilityTarget['start'] = async (...sent) => target.start(...sent)
const raw = async (bytes: string | Buffer) => target.raw(bytes)
/** A JSON object of exactly this many bytes. */
const ofSize = (bytes: number) => {
  const around = JSON.stringify({ input: { pad: '' } })
  return JSON.stringify({ input: { pad: 'x'.repeat(bytes - around.length) } })
}

describe('body size', () => {
  const limit = 64 * 1024

  test('64 KiB → accepted', async () => {
    expect(Buffer.byteLength(ofSize(limit))).toBe(limit)
    admitted(await hostile(ofSize(limit), { prefer: 'wait=30' }))
  })

  test.each([limit + 1, 65 * 1024, 1024 * 1024])('%i bytes → 413', async (size) => {
    problem(await hostile(ofSize(size)), 413, 'too_large')
  })

  test('too large without a Content-Length → 413', async () => {
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

  test('limit in characters of several bytes → 413', async () => {
    const pad = '€'.repeat(22_000)
    problem(await hostile({ input: { pad } }), 413, 'too_large')
  })

  test('too large and otherwise wrong → 413', async () => {
    problem(await hostile(ofSize(65 * 1024), {}, 'no-such'), 413, 'too_large')
    problem(await hostile('x'.repeat(65 * 1024), { 'content-type': 'text/plain' }), 413, 'too_large')
  })

  test('group of alerts over 1 MiB → 413, and operators can see it', async () => {
    const body = JSON.stringify({ version: '4', alerts: [], filler: 'x'.repeat(1024 * 1024) })
    problem(await dev.call('/v1/triggers/alertmanager', { body }), 413, 'too_large')
    expect((await dev.call('/metrics')).text).toContain(
      'resile_signals_dropped_total{source="alertmanager",reason="request_refused"} 1\n',
    )
    const seen = async () => {
      const answer = await dev.call<List<SignalSummary>>('/v1/signals')
      return answer.body.items.some(({ name, windows }) => name === 'refused requests' && windows['1d'].denied === 1)
    }
    await until('it is among the signals', seen)
  })

  test('announced and never sent → coordinator goes on', async () => {
    const head = 'POST /v1/workflows/nap/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    const answer = await raw(`${head}Content-Length: 999999999\r\nConnection: close\r\n\r\n{`)
    problem(answer, 413, 'too_large')
  })
})

describe('body syntax', () => {
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
  ])('%s → 400', async (_, body) => {
    problem(await hostile(body), 400, 'bad_request')
  })

  test.each(['[]', '"text"', '5', 'null', 'true', '[{}]'])('JSON that is no object, %s → 400', async (body) => {
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
  ])('content type %s → 415', async (type) => {
    problem(await hostile('{}', { 'content-type': type }), 415, 'unsupported_media_type')
  })

  test('no content type → 415', async () => {
    const bytes =
      'POST /v1/workflows/nap/executions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'
    problem(await raw(bytes), 415, 'unsupported_media_type')
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="UTF-8"'])(
    'content type %s → accepted',
    async (type) => {
      admitted(await hostile('{}', { 'content-type': type, prefer: 'wait=30' }))
    },
  )
})

describe('body fields', () => {
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
  ])('%s in %j → 400 at that place', async (path, body) => {
    const { errors } = problem(await hostile(body), 400, 'bad_request')
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(/./) }])
  })

  test('several mistakes → all reported', async () => {
    const { errors } = problem(await hostile({ reason: 5, foo: 1, target: { node: 5 } }), 400, 'bad_request')
    expect(errors?.map(({ path }) => path).sort()).toEqual(['/foo', '/reason', '/target/node'])
  })
})

describe('workflow input', () => {
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
  ])('%s in %j → 422 at that place', async (path, body) => {
    const { errors } = problem(await hostile(body, {}, 'strict'), 422, 'invalid_input')
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(/./) }])
  })

  test('valid input → admitted', async () => {
    const input = { unit: 'nginx', count: 1.5, more: { a: [] } }
    admitted(await hostile({ input }, { prefer: 'wait=30' }, 'strict'))
  })
})

describe('target name', () => {
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
  ])('%j → 422', async (node) => {
    const { errors } = problem(await hostile({ target: { node } }, {}, 'node-nap'), 422, 'invalid_target')
    expect(errors).toMatchObject([{ path: '/target/node' }])
  })

  test('longest name → accepted', async () => {
    problem(await hostile({ target: { node: 'x'.repeat(63) } }, {}, 'node-nap'), 503, 'no_worker')
  })
})

describe('odd but correct JSON', () => {
  const fineOrRefused = async (answer: Answer<unknown>) => {
    if (answer.status !== 201) {
      problem(answer, 400, 'bad_request')
      return undefined
    }
    return dev.reaches(admitted(answer).execution.id, 'completed')
  }
  const headers = { prefer: 'wait=30' }

  test.each([100, 1_000, 10_000])('objects %i deep → taken as they are, or refused', async (depth) => {
    const body = `{"input": {"a": ${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}}`
    const keyed = { ...headers, 'idempotency-key': `deep-${depth}` }
    await fineOrRefused(await hostile(body.length <= 65_536 ? body : '{', keyed))
  })

  test('lists 30,000 deep → taken as they are, or refused', async () => {
    const body = `{"input": {"a": ${'['.repeat(30_000)}${']'.repeat(30_000)}}}`
    await fineOrRefused(await hostile(body, { ...headers, 'idempotency-key': 'lists' }))
  })

  test('half a surrogate pair → taken as it is, or refused', async () => {
    await fineOrRefused(
      await hostile('{"reason": "\\ud800", "input": {"a": "\\udc00"}}', { ...headers, 'idempotency-key': 'half' }),
    )
  })

  test('U+0000 → taken as it is, or refused', async () => {
    await fineOrRefused(await hostile('{"reason": "a\\u0000b", "trigger": {"source": "\\u0000"}}', headers))
  })

  test('numbers beyond a double → taken as they are, or refused', async () => {
    await fineOrRefused(await hostile('{"input": {"a": 1e999, "b": -0, "c": 123456789012345678901234567890}}', headers))
  })

  test('__proto__ in an input → pollutes nothing', async () => {
    await fineOrRefused(
      await hostile('{"input": {"__proto__": {"ms": 60000}, "constructor": {"prototype": {"x": 1}}}}', headers),
    )
    const { execution } = await dev.started('nap')
    expect(await dev.reaches(execution.id, 'completed')).toMatchObject({ result: { slept: 0 } })
  })

  test('thousands of keys → taken as they are, or refused', async () => {
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
  ])('heartbeat with a wrong %s → 400', async (path, wrong) => {
    const good = { datacenter: 'dc1', types: [], labels: {}, build_id: 'b', boot_id: 'b', draining: false, queues: [] }
    const answer = await dev.call('/v1/nodes/guest', { method: 'PUT', body: { ...good, ...(wrong as object) } })
    const { errors } = problem(answer, 400, 'bad_request')
    expect(errors).toMatchObject([{ path }])
    await stillServes()
  })

  test('heartbeat that is no JSON, too large or of another type → 400, 413 or 415', async () => {
    const put = (body: unknown, headers = {}) => dev.call('/v1/nodes/guest', { method: 'PUT', body, headers })
    problem(await put('{'), 400, 'bad_request')
    problem(await put('{}', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type')
    problem(await put(JSON.stringify({ datacenter: 'x'.repeat(65_536) })), 413, 'too_large')
  })

  test('cancel with a wrong body → refused', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 60_000 } })
    const cancel = (body: unknown) => dev.call<Execution>(`/v1/executions/${execution.id}/cancel`, { body })
    expect(problem(await cancel({ foo: 1 }), 400, 'bad_request').errors).toMatchObject([{ path: '/foo' }])
    expect(problem(await cancel({ reason: 5 }), 400, 'bad_request').errors).toMatchObject([{ path: '/reason' }])
    expect((await dev.execution(execution.id)).status).toBe('running')
    expect((await cancel({})).status).toBe(202)
  })

  test('evaluation with a wrong body → refused', async () => {
    const evaluate = (body: unknown) => dev.call('/v1/workflows/nap/evaluate', { body })
    problem(await evaluate('{'), 400, 'bad_request')
    expect(problem(await evaluate({ at: 5 }), 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
    for (const at of ['soon', '5', '2100-01-01', '']) {
      expect(problem(await evaluate({ at }), 400, 'bad_request').errors).toMatchObject([{ path: '/at' }])
    }
  })
})

test('refused requests: after all of them → in no list, counted for nothing', async () => {
  const { body } = await dev.call<{ items: { outcome: string; code: string }[] }>(
    '/v1/decisions?outcome=denied&limit=500',
  )
  expect(new Set(body.items.map(({ code }) => code))).toEqual(new Set(['no_worker']))
})
