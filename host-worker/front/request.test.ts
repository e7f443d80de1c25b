import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Refusal } from './refusal.ts'
import { readRequest, type WholeRequest } from './request.ts'

let port = 0
let last: WholeRequest | Error | undefined
const server = createServer((incoming: IncomingMessage, response) => {
  readRequest(incoming, 'x-resile-cf').then(
    (request) => {
      last = request
      response.end('read')
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
  port = (server.address() as AddressInfo).port
})
afterAll(() => server.close())

/** Sends lines as they are; `last` is then what became of them. */
async function send(head: readonly string[], body = ''): Promise<WholeRequest | Error | undefined> {
  last = undefined
  const socket = connect(port, '127.0.0.1')
  socket.end(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`)
  socket.resume()
  await once(socket, 'close')
  return last
}

const host = 'Host: c'

describe('what is passed on', () => {
  it('is the request, without what is for its connection alone', async () => {
    const head = ['POST /v1/x?a=1 HTTP/1.1', host, 'Content-Type: application/json', 'X-A: 1', 'x-a: 2', 'TE: trailers']
    expect(await send([...head, 'Content-Length: 2'], '{}')).toEqual({
      method: 'POST',
      path: '/v1/x?a=1',
      headers: ['Host', 'c', 'Content-Type', 'application/json', 'X-A', '1', 'x-a', '2', 'content-length', '2'],
      body: Buffer.from('{}'),
    })
  })

  it('has a length, however it came', async () => {
    const head = ['POST / HTTP/1.1', host, 'Transfer-Encoding: chunked']
    const request = await send(head, '3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n')
    expect(request).toMatchObject({ headers: ['Host', 'c', 'content-length', '5'], body: Buffer.from('abcde') })
  })

  it.each(['X-Resile-CF: {}', 'x-resile-cf: {}', 'X_RESILE_CF: {}', 'x-Resile_cf: {}'])(
    'never has %s',
    async (forged) => {
      const request = await send(['GET / HTTP/1.1', host, forged, forged])
      expect(request).toMatchObject({ headers: ['Host', 'c'] })
    },
  )
})

describe('what may mean two things is refused', () => {
  it.each<[string, string[]]>([
    ['an absolute target', ['GET http://c/v1 HTTP/1.1', host]],
    ['an asterisk', ['OPTIONS * HTTP/1.1', host]],
    ['an empty first segment', ['GET //v1 HTTP/1.1', host]],
    ['dot segments', ['GET /v1/../v1 HTTP/1.1', host]],
    ['a dot segment', ['GET /v1/./x HTTP/1.1', host]],
    ['an encoded dot segment', ['GET /v1/%2e%2E/x HTTP/1.1', host]],
    ['half an encoded dot segment', ['GET /v1/.%2e HTTP/1.1', host]],
    ['a backslash', ['GET /v1\\x HTTP/1.1', host]],
    ['two hosts', ['GET / HTTP/1.1', host, 'Host: d']],
    ['two content types', ['GET / HTTP/1.1', host, 'Content-Type: a/b', 'content-type: a/b']],
    ['two idempotency keys', ['GET / HTTP/1.1', host, 'Idempotency-Key: a', 'Idempotency-Key: b']],
    ['two signatures', ['GET / HTTP/1.1', host, 'webhook-signature: a', 'Webhook-Signature: a']],
  ])('%s', async (_, head) => {
    expect(await send(head)).toMatchObject({ status: 400 })
  })

  it('dots in a query are nobody else’s path', async () => {
    expect(await send(['GET /v1?next=/../x HTTP/1.1', host])).toMatchObject({ path: '/v1?next=/../x' })
  })

  it('a body over the limit is read and dropped', async () => {
    const size = 70_000
    const head = ['POST / HTTP/1.1', host, `Content-Length: ${size}`]
    expect(await send(head, 'x'.repeat(size))).toMatchObject({ status: 413, code: 'too_large' })
  })
})
