import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { CoordinatorClient, CoordinatorUnreachable } from './coordinator-client.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function serve(listener: RequestListener, path?: string): Promise<{ client: CoordinatorClient; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(path ?? 0, resolve))
  const client = new CoordinatorClient(
    path === undefined ? { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } : { socket: path },
  )
  closing.push(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  return { client, server }
}

it('client: several requests → JSON over one connection', async () => {
  const sockets = new Set<Socket>()
  const { client } = await serve((request, response) => {
    sockets.add(request.socket)
    const { method, url, headers } = request
    request.setEncoding('utf8').on('data', (body: string) => {
      response
        .writeHead(201, { 'x-one': 'two' })
        .end(JSON.stringify({ method, url, body, type: headers['content-type'] }))
    })
  })
  for (const name of ['a', 'b']) {
    const answer = await client.request('PUT', `/v1/${name}?x=1`, { body: { name }, headers: { 'x-own': '1' } })
    expect(answer).toMatchObject({
      status: 201,
      json: { method: 'PUT', url: `/v1/${name}?x=1`, body: JSON.stringify({ name }), type: 'application/json' },
    })
    expect(answer.headers.get('X-One')).toBe('two')
    expect(answer.headers.get('x-other')).toBe(null)
  }
  expect(sockets.size).toBe(1)
})

it('client: unix socket → used', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'resile-client-'))
  closing.push(() => rmSync(directory, { recursive: true }))
  const { client } = await serve((_, response) => response.end('no JSON'), join(directory, 's.sock'))
  expect(await client.request('GET', '/')).toMatchObject({ status: 200, text: 'no JSON', json: null })
})

it('client: kept connection closed → safe requests repeated', async () => {
  const used = new WeakSet<Socket>()
  const { client } = await serve(({ socket }, response) => {
    if (used.has(socket)) socket.resetAndDestroy()
    else response.end('from a new connection')
    used.add(socket)
  })
  await client.request('GET', '/')
  expect(await client.request('PUT', '/')).toMatchObject({ text: 'from a new connection' })
  await expect(client.request('POST', '/')).rejects.toThrow(CoordinatorUnreachable)
})

it('client: redirect → not followed', async () => {
  const { client } = await serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())
  expect((await client.request('GET', '/')).status).toBe(302)
})

it('client: no answer → reason', async () => {
  const { client } = await serve(() => undefined)
  await expect(client.request('GET', '/', { timeout: 50 })).rejects.toThrow(/timed out$/)
  const stopped = new AbortController()
  const asked = client.request('GET', '/', { signal: stopped.signal })
  stopped.abort()
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  const nobody = new CoordinatorClient({ url: 'http://127.0.0.1:1' })
  await expect(nobody.request('GET', '/')).rejects.toThrow(/no answer from the coordinator at .*ECONNREFUSED/)
})

it('client: answer cut off → error', async () => {
  const { client } = await serve((_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half')
    setTimeout(() => response.destroy(), 20)
  })
  await expect(client.request('GET', '/')).rejects.toThrow(CoordinatorUnreachable)
})
