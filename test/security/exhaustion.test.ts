/** Attempts to use up a real coordinator's memory or connections, by callers who may do nothing. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type TestAuthority, testAuthority } from '../support/certificates.ts'
import {
  type Client,
  type Coordinator,
  coordinatorHcl,
  serverFiles,
  startCoordinator,
  tlsOf,
} from '../support/coordinator.ts'
import { napping, writeProject } from '../support/files.ts'
import { soaking } from '../support/soak.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
/** More than one address, or one certificate, may have; all that there may be in the soak suite. */
const CONNECTIONS = soaking(5000, 1500)
const operator = 'spiffe://example.com/operator'
const sender = 'spiffe://example.com/alertmanager'

let authority: TestAuthority
let coordinator: Coordinator
let asOperator: Client
let asSender: Client
let asNobody: Client
beforeAll(async () => {
  authority = await testAuthority()
  asOperator = await authority.issue({ uris: [operator] })
  asSender = await authority.issue({ uris: [sender] })
  asNobody = await authority.issue({ uris: ['spiffe://example.com/nobody'] })
  const { hcl } = await serverFiles(authority)
  const rule = (name: string, method: string, path: string, uri: string) => `
  route_rule {
    name = "${name}"
    method = "${method}"
    route_patterns = ["${path}"]
    uris = ["${uri}"]
  }`
  const rules = rule('operators', '*', '/*', operator) + rule('alerts', 'POST', '/v1/triggers/alertmanager', sender)
  coordinator = await startCoordinator({
    project: writeProject({
      'coordinator.hcl': coordinatorHcl(hcl + rules),
      ...napping('nap', 'task_queue_target = "datacenter"'),
    }),
  })
})

const open = new Set<Socket>()
afterEach(() => {
  for (const socket of open) socket.destroy()
  open.clear()
})

function kept<S extends Socket>(socket: S): S {
  open.add(socket)
  socket.on('error', () => undefined)
  // Else the end of the connection would not be read.
  socket.resume()
  socket.once('close', () => open.delete(socket))
  return socket
}

async function tlsConnection(client: Client): Promise<TLSSocket> {
  const socket = kept(connect({ host: '127.0.0.1', port: coordinator.port, ...tlsOf(client) }))
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')])
  return socket
}

/** Resident memory of the process that terminates TLS, in bytes. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${coordinator.process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Sends all of a large body but its last byte, on many connections, and returns what is answered on each. */
async function sendBodies(client: Client, count: number, path: string): Promise<string[]> {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${MIB}\r\n\r\n`
  const answers = Array.from({ length: count }, () => '')
  for (let index = 0; index < count; index += 1) {
    const socket = await tlsConnection(client)
    socket.on('data', (chunk: Buffer) => {
      answers[index] += chunk.toString()
    })
    socket.write(head)
    socket.write(Buffer.alloc(MIB - 1, 0x20))
  }
  return answers
}

const statusOf = (answer: string): string => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? ''
const stillServes = async (): Promise<boolean> => (await coordinator.call('/v1/workflows', asOperator)).status === 200

describe('bodies', () => {
  test.each<[string, () => Client, string, string]>([
    ['certificate without a rule', () => asNobody, '/v1/triggers/alertmanager', '403'],
    ['no certificate', () => null, '/v1/triggers/alertmanager', '401'],
    ['certificate with a rule for another route', () => asSender, '/v1/workflows/nap/executions', '403'],
  ])('%s, 200 connections with 1 MiB each → refused by the head, memory bounded', async (_, client, path, status) => {
    expect(await stillServes()).toBe(true)
    const before = residentBytes()
    const answers = await sendBodies(client(), 200, path)
    expect(residentBytes() - before).toBeLessThan(100 * MIB)
    await until('all are refused', () => answers.every((answer) => statusOf(answer) === status), { within: 30_000 })
    expect(await stillServes()).toBe(true)
  })

  test('caller with a rule, 200 connections → one budget for all, beyond it 503', async () => {
    const answers = await sendBodies(asSender, 200, '/v1/triggers/alertmanager')
    const overloaded = (): number => answers.filter((answer) => statusOf(answer) === '503').length
    await until('some are refused', () => overloaded() >= 100, { within: 30_000 })
    expect(await stillServes()).toBe(true)
    const freeze = { body: { reason: 'drill', scope: {}, for: '1m' } }
    expect((await coordinator.call('/v1/freezes', asOperator, freeze)).status).toBe(201)
  })

  test('five certificates with a rule fill the budget and wait → operators get in', async () => {
    for (let number = 0; number < 5; number += 1) {
      await sendBodies(await authority.issue({ uris: [sender] }), 16, '/v1/triggers/alertmanager')
    }
    const freeze = { body: { reason: 'drill', scope: {}, for: '1m' } }
    expect((await coordinator.call('/v1/freezes', asOperator, freeze)).status).toBe(201)
  })
})

describe('connections', () => {
  test(`${CONNECTIONS} idle anonymous TLS connections from one address → operators get in`, async () => {
    for (let round = 0; round < CONNECTIONS / 50; round += 1) {
      await Promise.all(Array.from({ length: 50 }, () => tlsConnection(null)))
    }
    expect(await stillServes()).toBe(true)
    await until('the others were closed', () => open.size < 1000, { within: 30_000 })
  }, 180_000)

  test(`${CONNECTIONS} connections that send nothing → operators get in`, async () => {
    for (let round = 0; round < CONNECTIONS / 100; round += 1) {
      const sockets = Array.from({ length: 100 }, () => connectTcp({ host: '127.0.0.1', port: coordinator.port }))
      await Promise.all(sockets.map((socket) => Promise.race([once(kept(socket), 'connect'), once(socket, 'close')])))
    }
    expect(await stillServes()).toBe(true)
  })

  test(`${CONNECTIONS} idle connections with one certificate that no rule names → operators get in`, async () => {
    for (let round = 0; round < CONNECTIONS / 50; round += 1) {
      await Promise.all(Array.from({ length: 50 }, () => tlsConnection(asNobody)))
    }
    expect(await stillServes()).toBe(true)
    await until('the others were closed', () => open.size <= 1000, { within: 30_000 })
  }, 180_000)
})
