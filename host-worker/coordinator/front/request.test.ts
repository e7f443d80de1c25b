import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Refusal } from './refusal.ts'
import { readHead, readRequest, type WholeRequest } from './request.ts'

function outcome(url: string, lines: readonly string[], method = 'GET'): string {
  const rawHeaders = lines.flatMap((line) => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ])
  try {
    const { path, headers } = readHead({ method, url, rawHeaders }, 'x-cf')
    return [path, ...headers].join(' ')
  } catch (error) {
    if (error instanceof Refusal) return `${error.status} ${error.message}`
    throw error
  }
}

describe('head of a request', () => {
  it.each([
    'example.com',
    'Example.COM:8787',
    '10.0.0.1',
    '10.0.0.1:443',
    'a_b-c.d',
    'localhost',
    '[::1]',
    '[fe80::1]:8787',
  ])('host %s → accepted', (host) => expect(outcome('/v1', [`Host: ${host}`])).toBe(`/v1 Host ${host}`))

  // workerd makes a URL of it and the path, and with these another path, or none at all.
  it.each([
    'x/metrics?',
    'x/v1/workflows#',
    'x\\y',
    'x?',
    'x#',
    'user@x',
    '@',
    '',
    '[',
    '[::1',
    'a b',
    '%00',
    '1.2.3.999',
    'x,y',
    '\u00e9',
    'x:',
    'x:99999',
    'x:1:1',
    ':80',
    'http://x',
  ])('host %j → refused', (host) => expect(outcome('/v1', [`Host: ${host}`])).toMatch(/^400 the header host must be /))

  it('two hosts → refused', () => {
    expect(outcome('/', [])).toBe('400 there is no header host')
    expect(outcome('/', ['Host: x', 'host: x'])).toBe('400 there is more than one header host')
  })

  it("hop-by-hop headers, and the front's own → removed", () => {
    const lines = ['Host: x', 'Connection: x-cf', 'TE: trailers', 'X-CF: 1', 'x_cf: 1', 'X-Cf2: 1', 'Accept: a']
    expect(outcome('/', lines)).toBe('/ Host x X-Cf2 1 Accept a')
  })

  it.each(['gzip', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked'])('has no body as %s', (encoding) => {
    expect(outcome('/', ['Host: x', `Transfer-Encoding: ${encoding}`], 'POST')).toBe('400 a body may only be chunked')
  })

  it.each(['CONNECT', 'TRACE', 'QUERY', 'get', ''])('has no method %j', (method) => {
    expect(outcome('/', ['Host: x'], method)).toBe(`400 method ${method} is not supported`)
  })

  it.each(['*', '', 'x', 'http://x/', '//x', '/a/../b', '/a/%2e%2E/b', '/.', '/a\\b', '/a\u0000', '/a?\t'])(
    'has no target %j',
    (url) => expect(outcome(url, ['Host: x'])).toMatch(/^400 the /),
  )
})

describe('body of a request', () => {
  let last: WholeRequest | Error | undefined
  let hasRoom = true
  let taken = 0
  const take = (bytes: number): boolean => {
    taken += bytes
    return hasRoom
  }
  const server = createServer((incoming, response) => {
    readRequest(incoming, readHead(incoming, 'x-cf'), { take, complete: () => undefined }).then(
      (request) => {
        last = request
        response.end()
      },
      (error: Error) => {
        last = error
        response.writeHead(error instanceof Refusal ? error.status : 500).end()
      },
    )
  })
  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => server.close())

  async function send(head: readonly string[], body: string, path = '/'): Promise<WholeRequest | Error | undefined> {
    last = undefined
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.end(`${[`POST ${path} HTTP/1.1`, 'Host: c', 'Connection: close', ...head].join('\r\n')}\r\n\r\n${body}`)
    socket.resume()
    await once(socket, 'close')
    return last
  }

  it('any encoding → with a length', async () => {
    const headers = ['Host', 'c', 'content-length', '5']
    const chunked = await send(['Transfer-Encoding: chunked'], '3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n')
    expect(chunked).toMatchObject({ headers, body: Buffer.from('abcde') })
    expect(await send(['Content-Length: 5'], 'abcde')).toMatchObject({ headers, body: Buffer.from('abcde') })
  })

  it('many small chunks → all the memory that they take is counted', async () => {
    taken = 0
    const text = 'x'.repeat(5000)
    const answer = await send(['Transfer-Encoding: chunked'], `${'1\r\nx\r\n'.repeat(5000)}0\r\n\r\n`)
    expect(answer).toMatchObject({ body: Buffer.from(text) })
    if (answer === undefined || answer instanceof Error) throw new Error('refused')
    expect(answer.body.buffer.byteLength).toBe(taken)
    expect(taken).toBeLessThan(2 * text.length)
  })

  it('over the limit → read and dropped', async () => {
    const size = 70_000
    expect(await send([`Content-Length: ${size}`], 'x'.repeat(size))).toMatchObject({ status: 413, code: 'too_large' })
  })

  it("Alertmanager's endpoint, however spelt → up to a MiB", async () => {
    const sent = (size: number, path: string) => send([`Content-Length: ${size}`], 'x'.repeat(size), path)
    for (const path of ['/v1/triggers/alertmanager', '/v1/triggers/%61lertmanager?a=b']) {
      expect(await sent(1024 * 1024, path)).toMatchObject({ body: { length: 1024 * 1024 } })
    }
    expect(await sent(1024 * 1024 + 1, '/v1/triggers/alertmanager')).toMatchObject({ status: 413 })
    expect(await sent(70_000, '/v1/triggers/alertmanager/')).toMatchObject({ status: 413 })
  })

  it('no room for bodies → 503, too large → 413 all the same', async () => {
    hasRoom = false
    expect(await send(['Content-Length: 5'], 'abcde')).toMatchObject({ status: 503, code: 'overloaded' })
    expect(await send(['Content-Length: 70000'], 'x'.repeat(70_000))).toMatchObject({ status: 413 })
    expect(await send(['Transfer-Encoding: chunked'], '1\r\nx\r\n0\r\n\r\n')).toMatchObject({ status: 503 })
  })
})
