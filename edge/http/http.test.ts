import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BODY_LIMIT } from '../../shared/body-limit.ts'
import { decodedPath } from '../../shared/path.ts'
import { startSchema } from '../../shared/wire.ts'
import { hashJson, parseBody, readBody } from './body.ts'
import { idempotencyKey, preferredWait, requestId, traceparent } from './headers.ts'
import { jsonPointer, ProblemError } from './problem.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

function path(text: string): string {
  return decodedPath(new Request(`http://x${text}`).url)
}

function parse(body: string | Uint8Array, headers: Record<string, string> = JSON_TYPE): unknown {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  try {
    return parseBody(startSchema, new Request('http://x', { method: 'POST', headers }), bytes).value
  } catch (error) {
    if (error instanceof ProblemError) return { code: error.code, paths: error.errors?.map((mistake) => mistake.path) }
    throw error
  }
}

describe('decodedPath', () => {
  it.each([
    ['/v1/%77orkflows', '/v1/workflows'],
    ['/v1/a%2Fb', '/%'],
    ['/v1/a%5cb', '/%'],
    ['/v1/%2577', '/%'],
    ['/v1/%00', '/%'],
    ['/v1/%ff', '/%'],
    ['/v1/%F0%9F%98%80', '/v1/😀'],
    ['/v1/../metrics', '/metrics'],
    ['/v1/%2e%2e/metrics', '/metrics'],
    ['//v1', '//v1'],
    ['/a?b=%2F', '/a'],
  ])('%s → %s', (given, expected) => expect(path(given)).toBe(expected))

  property.prop([fc.webPath()])('is either the one unsafe path or free of percent signs', (given) => {
    const decoded = path(given.startsWith('/') ? given : `/${given}`)
    expect(decoded === '/%' || !decoded.includes('%')).toBe(true)
  })
})

describe('parseBody', () => {
  it('no body → empty object, whatever its type', () => expect(parse('', {})).toEqual({}))

  it.each([
    ['{', 'bad_request', ['']],
    ['[]', 'bad_request', ['']],
    ['null', 'bad_request', ['']],
    ['"x"', 'bad_request', ['']],
    ['{"target":{"node":5}}', 'bad_request', ['/target/node']],
    ['{"targt":{}}', 'bad_request', ['/targt']],
    ['{"target":{"host":"x","a/b":1}}', 'bad_request', ['/target/host', '/target/a~1b']],
    ['{"input":[]}', 'bad_request', ['/input']],
    ['{"valid_for":"soon"}', 'bad_request', ['/valid_for']],
    ['{"reason":null}', 'bad_request', ['/reason']],
    ['{"input":{"list":[1,1e999]}}', 'bad_request', ['/input/list/1']],
    [`{"input":{"a":${'['.repeat(100)}${']'.repeat(100)}}}`, 'bad_request', ['']],
  ])('%s → %s at %j', (body, code, paths) => expect(parse(body)).toEqual({ code, paths }))

  it('invalid UTF-8 → refused', () =>
    expect(parse(new Uint8Array([0x7b, 0xff, 0x7d]))).toMatchObject({ code: 'bad_request' }))

  it.each([[{}], [{ 'content-type': 'text/plain' }], [{ 'content-type': 'application/x-www-form-urlencoded' }]])(
    'refuses a body of type %j',
    (headers) => expect(parse('{}', headers)).toMatchObject({ code: 'unsupported_media_type' }),
  )

  it('charset beside the type → accepted', () =>
    expect(parse('{}', { 'content-type': 'Application/JSON; charset=utf-8' })).toEqual({}))
})

describe('readBody', () => {
  const post = (body: BodyInit): Request => new Request('http://x', { method: 'POST', body })

  it('body at the limit → accepted; one byte more → refused', async () => {
    expect((await readBody(post('x'.repeat(BODY_LIMIT)), BODY_LIMIT)).byteLength).toBe(BODY_LIMIT)
    await expect(readBody(post('x'.repeat(BODY_LIMIT + 1)), BODY_LIMIT)).rejects.toMatchObject({ code: 'too_large' })
  })

  it('body without a length → counted', async () => {
    const chunk = new TextEncoder().encode('x'.repeat(1000))
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent++
        controller.enqueue(chunk)
      },
    })
    await expect(readBody(post(endless), BODY_LIMIT)).rejects.toMatchObject({ code: 'too_large' })
    expect(sent).toBeLessThan(200)
  })
})

describe('hashJson', () => {
  it('equal JSON → equal hash', async () => {
    expect(await hashJson(JSON.parse('{"a":1.0,"b":[1,{"c":null}]}'))).toBe(
      await hashJson(JSON.parse(' {"b":[1,{"c":null}],"a":1}')),
    )
    expect(await hashJson({ a: [1, 2] })).not.toBe(await hashJson({ a: [2, 1] }))
  })
})

describe('headers', () => {
  it.each([
    [undefined, 2000],
    ['wait=0', 0],
    ['wait=7', 7000],
    ['wait=31', 30_000],
    ['respond-async, wait=10', 10_000],
    ['WAIT = 3', 3000],
    ['wait="4"', 4000],
    ['handling=lenient', 2000],
  ])('Prefer: %s → waits %i ms', (prefer, ms) =>
    expect(preferredWait(new Headers(prefer === undefined ? {} : { prefer }))).toBe(ms),
  )

  it.each(['wait=', 'wait=soon', 'wait=-1', 'wait=1.5', 'wait'])('Prefer: %s is refused', (prefer) =>
    expect(() => preferredWait(new Headers({ prefer }))).toThrow(ProblemError),
  )

  it('Idempotency-Key → 1 to 255 characters', () => {
    expect(idempotencyKey(new Headers())).toBeNull()
    expect(idempotencyKey(new Headers({ 'idempotency-key': 'k'.repeat(255) }))).toHaveLength(255)
    for (const key of ['', 'k'.repeat(256)])
      expect(() => idempotencyKey(new Headers({ 'idempotency-key': key }))).toThrow(ProblemError)
  })

  it('request id → echoed when it is safe', () => {
    expect(requestId(new Headers({ 'x-request-id': 'abc-1' }))).toBe('abc-1')
    expect(requestId(new Headers({ 'x-request-id': 'a b' }))).not.toBe('a b')
  })

  it('invalid traceparent → ignored', () => {
    const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    expect(traceparent(new Headers({ traceparent: valid }))).toBe(valid)
    expect(
      traceparent(new Headers({ traceparent: valid.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)) })),
    ).toBeNull()
  })
})

it('JSON Pointer: ~ and / → escaped', () => expect(jsonPointer(['a~b', 'c/d', 0])).toBe('/a~0b/c~1d/0'))
