import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { atEnd } from '../../../test/support/cleanup.ts'
import { temporaryDirectory } from '../../../test/support/files.ts'
import { until } from '../../../test/support/until.ts'
import { Front } from './front.ts'
import { Upstream } from './upstream.ts'

/** A coordinator that counts what it is asked, answers `/big` without end, and `/slow` a little later. */
async function coordinator(): Promise<{ socket: string; asked: string[]; connections: Set<Socket> }> {
  const socket = join(temporaryDirectory(), 'up.sock')
  const asked: string[] = []
  const connections = new Set<Socket>()
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/big') response.write(Buffer.alloc(32 * 1024 * 1024))
    else setTimeout(() => response.end('ok'), request.url === '/slow' ? 1000 : 0)
  })
  server.on('connection', (connection) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  await once(server.listen(socket), 'listening')
  atEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return { socket, asked, connections }
}

async function frontOf(upstream: Upstream): Promise<Front> {
  return Front.start({ upstream, tls: null, bodies: () => true }, { host: '127.0.0.1', port: 0 })
}

/** Sends a request on a separate connection, which stays open. */
async function ask(front: Front, path: string): Promise<Socket> {
  const connection = connect({ host: '127.0.0.1', port: front.port ?? 0 })
  await once(connection, 'connect')
  connection.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return connection
}

const request = { method: 'POST', path: '/', headers: ['host', 'localhost'], body: Buffer.alloc(0) }

test('upstream: client disconnects → request to workerd cancelled', async () => {
  const { socket, connections } = await coordinator()
  const front = await frontOf(new Upstream(socket))
  const connection = await ask(front, '/big')
  await once(connection, 'data')
  expect(connections.size).toBe(1)
  connection.destroy()
  await until('the connection to the coordinator is closed', () => connections.size === 0)
  await front.drain()
})

test('upstream: client gone before workerd is back → request not sent', async () => {
  const { socket, asked } = await coordinator()
  const upstream = new Upstream(socket)
  const front = await frontOf(upstream)
  const resume = upstream.pause()
  const [gone, patient] = [await ask(front, '/gone'), await ask(front, '/patient')]
  await sleep(100)
  gone.destroy()
  await sleep(100)
  resume()
  await once(patient, 'data')
  expect(asked).toEqual(['/patient'])
  patient.destroy()
  await front.drain()
})

test('upstream: workerd replaced → request waits as for one that died', async () => {
  const { socket, asked } = await coordinator()
  const upstream = new Upstream(socket, 100)
  const resume = upstream.pause()
  await expect(upstream.send(request, () => false)).rejects.toMatchObject({ status: 503 })
  resume()
  expect((await upstream.send(request, () => false)).statusCode).toBe(200)
  expect(asked).toEqual(['/'])
})

test('upstream: shutdown → connection closed with its answer', async () => {
  const { socket } = await coordinator()
  const front = await frontOf(new Upstream(socket))
  const connection = await ask(front, '/slow')
  await sleep(100)
  const began = performance.now()
  const drained = front.drain()
  expect(String(await once(connection, 'data'))).toContain('connection: close')
  await drained
  expect(performance.now() - began).toBeLessThan(5000)
})
