/** Requests that try to get past the route rules by their paths, methods and bytes, on every listener. */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { tlsOf } from '../support/coordinator.ts'
import {
  allWasInVain,
  json,
  listenersOf,
  refused,
  request,
  start,
  startListeners,
  statuses,
} from '../support/hostile-callers.ts'
import { problem } from '../support/http.ts'

const callers = startListeners()
const listeners = listenersOf(callers)
/** Both fronts, which take only what can mean one thing. */
const fronts = listeners.slice(0, 2)

describe('spelling of a path', () => {
  const targets = [
    '/v1/%77orkflows',
    '/%76%31/workflows',
    '//v1/workflows',
    '///metrics/../v1/workflows',
    '/v1/../v1/workflows',
    '/metrics/../v1/workflows',
    '/metrics/..%2fv1/workflows',
    '/metrics/%2e%2e/v1/workflows',
    '/metrics/%2E./v1/workflows',
    '/metrics/..;/v1/workflows',
    '/metrics;/../v1/workflows',
    '/metrics%2f..%2fv1%2fworkflows',
    '/metrics%00/../v1/workflows',
    '/metrics%3f/../v1/workflows',
    '/metrics%23',
    '/metrics/',
    '/metrics/v1/workflows',
    '/metrics%20',
    '/metrics%09',
    '/METRICS',
    '/./metrics/./../v1/workflows',
    '/v1/workflows%00',
    '/v1/workflows%00/metrics',
    '/v1/workflows?/metrics',
    '/v1/workflows#/metrics',
    '/v1\\workflows',
    '/\\localhost/metrics',
    '\\metrics',
    '/metrics\\..\\v1\\workflows',
    '/v1/workflows\t/metrics',
    '/v1/workflows /metrics',
    'metrics',
    '',
    '?',
    '*',
    'https://x/v1/workflows',
    'http://127.0.0.1/v1/workflows',
    'http://user@localhost/v1/workflows',
    'http:/v1/workflows',
    'localhost:443',
  ]
  const cases = listeners.flatMap(([where, url]) => targets.map((target) => [where, target, url] as const))

  test.each(cases)('%s, GET %s → refused', async (_, target, url) => {
    expect(await refused(url(), request(`GET ${target} HTTP/1.1`))).not.toContain(200)
  })

  test.each(fronts)('%s, target other than a path → 400', async (_, url) => {
    for (const target of ['http://127.0.0.1/metrics', 'https://localhost/metrics', '//metrics', '/x/../metrics']) {
      expect(await refused(url(), request(`GET ${target} HTTP/1.1`))).toEqual([400])
    }
    expect(await refused(url(), request('OPTIONS * HTTP/1.1'))).toEqual([400])
    await refused(url(), request('CONNECT localhost:443 HTTP/1.1'))
    await refused(url(), request('CONNECT /metrics HTTP/1.1'))
  })

  test('percent encoding, allowed caller → that path', async () => {
    const bytes = request('GET /v1/%77orkflows HTTP/1.1', ['X-Request-Id: proper'])
    expect(await statuses(callers.tls.url, bytes, callers.asAdmin)).toEqual([200])
  })
})

describe('header twice', () => {
  test.each([
    ['Host', 'Host: localhost'],
    ['another Host', 'Host: elsewhere.example'],
    ['Content-Length', 'Content-Length: 2'],
    ['another Content-Length', 'Content-Length: 200'],
    ['Content-Type', 'Content-Type: application/json'],
    ['another Content-Type', 'content-type: text/plain'],
    ['Authorization', 'Authorization: a\r\nAuthorization: b'],
    ['Idempotency-Key', 'Idempotency-Key: a\r\nidempotency-key: a'],
    ['Origin', 'Origin: http://localhost\r\nOrigin: http://localhost'],
    ['Transfer-Encoding', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
    ['X-Request-Id', 'X-Request-Id: a\r\nX-Request-Id: b'],
  ])('%s → 400', async (_, line) => {
    const bytes = request(`POST ${start} HTTP/1.1`, [...json('{}'), line], '{}')
    expect(await refused(callers.tls.url, bytes, callers.asAdmin)).toEqual([400])
    expect(await refused(callers.plain.url, bytes)).toEqual([400])
  })
})

describe('smuggled request', () => {
  /** Carries a name by which it would be found in the log. */
  const hidden = `GET /v1/workflows HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n\r\n`
  const post = (headers: readonly string[], body: string) =>
    `${['POST /v1/nope HTTP/1.1', 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n${body}`
  const inChunks = `5\r\nhello\r\n0\r\n\r\n`

  test.each<[string, string]>([
    ['CL.TE', post([`Content-Length: ${5 + hidden.length}`, 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['TE.CL', post(['Transfer-Encoding: chunked', 'Content-Length: 4'], `5c\r\n${hidden}\r\n0\r\n\r\n`)],
    ['an unknown encoding', post(['Transfer-Encoding: xchunked'], inChunks + hidden)],
    ['chunked and then another', post(['Transfer-Encoding: chunked, identity'], inChunks + hidden)],
    ['two encodings', post(['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], inChunks + hidden)],
    ['chunked twice', post(['Transfer-Encoding: chunked, chunked'], inChunks + hidden)],
    ['gzip and chunked', post(['Transfer-Encoding: gzip, chunked'], inChunks)],
    ['a space before the colon', post(['Transfer-Encoding : chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['a tab before the colon', post(['Transfer-Encoding\t: chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['an encoding that is folded', post(['Transfer-Encoding:\r\n chunked', 'Content-Length: 5'], `0\r\n\r\n${hidden}`)],
    ['an encoding in quotes', post(['Transfer-Encoding: "chunked"'], inChunks + hidden)],
    ['a vertical tab', post(['Transfer-Encoding: \vchunked'], inChunks + hidden)],
    ['a bare line feed in the head', `POST /v1/nope HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello${hidden}`],
    ['a bare line feed in a chunk', post(['Transfer-Encoding: chunked'], `5\nhello\n0\n\n${hidden}`)],
    ['garbage after a chunk', post(['Transfer-Encoding: chunked'], `5\r\nhelloXX\r\n0\r\n\r\n${hidden}`)],
    ['a chunk of a negative size', post(['Transfer-Encoding: chunked'], `-5\r\nhello\r\n0\r\n\r\n${hidden}`)],
    ['a chunk of a hexadecimal size', post(['Transfer-Encoding: chunked'], `0x5\r\nhello\r\n0\r\n\r\n${hidden}`)],
    ['a chunk too large to count', post(['Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${hidden}`)],
    ['an extension with a line feed', post(['Transfer-Encoding: chunked'], `5;a\nhello\r\n0\r\n\r\n${hidden}`)],
    [
      'a long extension',
      post(['Transfer-Encoding: chunked'], `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n${hidden}`),
    ],
    ['a length with a sign', post(['Content-Length: +5'], `hello${hidden}`)],
    ['a negative length', post(['Content-Length: -1'], hidden)],
    ['two lengths in one', post(['Content-Length: 5, 5'], `hello${hidden}`)],
    ['a hexadecimal length', post(['Content-Length: 0x5'], `hello${hidden}`)],
    ['no length', post(['Content-Length:'], hidden)],
    ['a length with a space', post(['Content-Length: 1 0'], hidden)],
    ['a length too large to count', post(['Content-Length: 99999999999999999999999'], hidden)],
    ['a length that is too large', post(['Content-Length: 999999999', 'Connection: close'], hidden)],
    ['NUL in a header', post(['X-A: a\0b', 'Content-Length: 0'], '')],
    ['a carriage return in a header', post(['X-A: a\rX-B: b', 'Content-Length: 0'], '')],
    ['NUL in the name of a header', post(['X\0A: b', 'Content-Length: 0'], '')],
    ['a header without a name', post([': b', 'Content-Length: 0'], '')],
    ['a header without a colon', post(['nonsense', 'Content-Length: 0'], '')],
    ['a space before the first header', 'GET /v1/workflows HTTP/1.1\r\n Host: localhost\r\n\r\n'],
    ['HTTP/0.9', 'GET /v1/workflows\r\n\r\n'],
    ['HTTP/1.2', 'GET /v1/nope HTTP/1.2\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['HTTP/2.0', 'GET /v1/nope HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', 'GET /v1/nope HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['no Host, and HTTP/1.0', 'GET /v1/nope HTTP/1.0\r\n\r\n'],
    [
      'HTTP/1.0 in chunks',
      `POST /v1/nope HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${inChunks}`,
    ],
    ['a line of 20 KB', request(`GET /${'a'.repeat(20_000)} HTTP/1.1`)],
    ['a header of 20 KB', request('GET /v1/nope HTTP/1.1', [`X-A: ${'a'.repeat(20_000)}`])],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['a method in lower case', request('get /v1/nope HTTP/1.1')],
    ['a method with a control character', request('G\x01ET /v1/nope HTTP/1.1')],
  ])('%s → refused', async (_, bytes) => {
    expect((await refused(callers.tls.url, bytes, callers.asAdmin)).length).toBeLessThanOrEqual(1)
    expect((await refused(callers.plain.url, bytes)).length).toBeLessThanOrEqual(1)
  })

  test('request in the body of another → a body', async () => {
    const bytes = request('POST /v1/nope HTTP/1.1', [`Content-Length: ${hidden.length}`], hidden)
    expect(await refused(callers.tls.url, bytes, callers.asAdmin)).toEqual([404])
    const size = hidden.length.toString(16)
    const chunked = request(
      'POST /v1/nope HTTP/1.1',
      ['Transfer-Encoding: chunked'],
      `${size}\r\n${hidden}\r\n0\r\n\r\n`,
    )
    expect(await refused(callers.tls.url, chunked, callers.asAdmin)).toEqual([404])
  })

  test('two requests on a connection → each answered by its own caller', async () => {
    const first = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const next = request('GET /v1/workflows HTTP/1.1', ['X-Request-Id: next'])
    expect(await statuses(callers.tls.url, first + next)).toEqual([200, 401])
  })

  test('body too large, length announced or not → 413', async () => {
    const body = 'x'.repeat(4 * 1024 * 1024)
    for (let round = 0; round < 10; round += 1) {
      problem(await callers.tls.call(start, callers.asAdmin, { body }), 413, 'too_large')
      problem(
        await callers.tls.call(start, callers.asAdmin, { body, headers: { 'transfer-encoding': 'chunked' } }),
        413,
        'too_large',
      )
    }
  })

  test('after all of them → none in the log', () => {
    expect(callers.tls.log.filter((line) => line['request_id'] === 'smuggled')).toEqual([])
    expect(callers.plain.log.filter((line) => line['request_id'] === 'smuggled')).toEqual([])
  })
})

describe('method', () => {
  const overrides = ['X-HTTP-Method-Override: GET', 'X-HTTP-Method: GET', 'X-Method-Override: GET']

  test.each(listeners)('%s, other methods and overrides → refused; HEAD → GET', async (_, url) => {
    expect(await statuses(url(), request('HEAD /metrics HTTP/1.1'))).toEqual([200])
    expect(await statuses(url(), request('get /metrics HTTP/1.1'))).not.toContain(200)
    await refused(url(), request('HEAD /v1/workflows HTTP/1.1'))
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      await refused(url(), request(`${method} /metrics HTTP/1.1`, [...overrides, 'Content-Length: 0']))
    }
    await refused(url(), request('GET /v1/workflows?_method=HEAD HTTP/1.1', overrides))
  })

  test.each(['TRACE', 'QUERY', 'PROPFIND', 'M-SEARCH', 'PURGE', 'SOURCE', 'BREW'])('%s → 400', async (method) => {
    const bytes = request(`${method} /metrics HTTP/1.1`)
    expect(await refused(callers.tls.url, bytes)).toEqual([400])
    expect(await refused(callers.tls.url, bytes, callers.asAdmin)).toEqual([400])
    expect(await refused(callers.plain.url, bytes)).toEqual([400])
  })
})

describe('pages of other sites', () => {
  const get = (url: string, headers: readonly string[]) =>
    statuses(url, `${['GET /metrics HTTP/1.1', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`)
  const foreign = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:8787',
    'localhost@evil.example',
    'localhost/x',
    'localhost:1:1',
    '127.1',
    '2130706433',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '',
  ]

  test.each(listeners)('%s, foreign Host → refused', async (_, url) => {
    for (const host of foreign) {
      const answered = await get(url(), [`Host: ${host}`])
      expect({ host, answered }).toEqual({
        host,
        answered: [expect.toSatisfy((status: number) => [400, 403].includes(status))],
      })
    }
    for (const host of ['localhost', 'LocalHost', 'localhost:1', '127.0.0.1', '127.0.0.1:8787', '[::1]', '[::1]:1']) {
      expect({ host, answered: await get(url(), [`Host: ${host}`]) }).toEqual({ host, answered: [200] })
    }
  })

  test.each(listeners)('%s, foreign Origin → refused', async (_, url) => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1', 'https://localhost.evil.example']) {
      const answered = await get(url(), ['Host: localhost', `Origin: ${origin}`])
      expect({ origin, answered }).toEqual({ origin, answered: [403] })
    }
    expect(await get(url(), ['Host: localhost', 'Origin: http://localhost'])).toEqual([200])
  })
})

describe('client that does not speak properly', () => {
  /** Resolves when the other end has closed. */
  const closed = (socket: Socket) => {
    atEnd(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.resume()
    return new Promise<void>((resolve) => socket.once('close', () => resolve()))
  }

  test('no TLS, or another protocol → not answered', async () => {
    const inPlain = callers.tls.url.replace('https:', 'http:')
    expect(await refused(inPlain, request('GET /metrics HTTP/1.1'))).toEqual([])
    const socket = connect({
      host: '127.0.0.1',
      port: callers.tls.port,
      ...tlsOf(callers.asAdmin),
      ALPNProtocols: ['h2'],
    })
    const over = closed(socket)
    await over
    expect(socket.alpnProtocol ?? false).toBe(false)
  })

  test('silent or slow → connection closed', async () => {
    const to = { host: '127.0.0.1', port: callers.tls.port, ...tlsOf(callers.asAdmin) }
    const slow = (socket: Socket) => {
      const drip = setInterval(() => socket.write('X-A: b\r\n'), 500)
      atEnd(() => clearInterval(drip))
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n')
      socket.once('close', () => clearInterval(drip))
    }
    const slowTls = connect(to, () => slow(slowTls))
    const slowPlain = connectPlain(callers.plain.port, '127.0.0.1', () => slow(slowPlain))
    const ends = Promise.all([
      closed(connectPlain(callers.tls.port, '127.0.0.1')),
      closed(connectPlain(callers.plain.port, '127.0.0.1')),
      closed(connect(to)),
      closed(slowTls),
      closed(slowPlain),
    ])
    const late = new Promise<'too late'>((resolve) => setTimeout(resolve, 40_000, 'too late').unref())
    expect(await Promise.race([ends, late])).not.toBe('too late')
  })
})

allWasInVain(callers)
