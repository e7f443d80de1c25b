/**
 * A coordinator with mutual TLS under load: its certificates rotated, workerd killed, all of it restarted. No connection is
 * refused, and whatever was answered 201 or 202 is in Temporal.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { type TestAuthority, testAuthority } from '../support/certificates.ts'
import { atEnd } from '../support/cleanup.ts'
import { commanding, napping, repository, temporaryDirectory, writeProject } from '../support/files.ts'
import { freePort } from '../support/ports.ts'
import { isRunning, type Running, resile, run, startResile } from '../support/processes.ts'
import { newNamespace, type TemporalNamespace } from '../support/shared-temporal.ts'
import { lengthy } from '../support/soak.ts'
import { until } from '../support/until.ts'

const worker = 'spiffe://example.org/worker/web-1'
const caller = 'spiffe://example.org/detector'
const callers = 6
const ROUNDS = lengthy(3, 1)

let authority: TestAuthority
let temporal: TemporalNamespace
let tls: string
let ca: string
let certificate: { cert: string; key: string }
beforeAll(async () => {
  authority = await testAuthority()
  ca = authority.caPem
  tls = temporaryDirectory()
  writeFileSync(join(tls, 'ca.pem'), ca)
  await rotate()
  for (const [name, uri] of Object.entries({ worker, caller })) {
    const { certPem, keyPem } = await authority.issue({ uris: [uri] })
    writeFileSync(join(tls, `${name}.pem`), certPem)
    writeFileSync(join(tls, `${name}-key.pem`), keyPem)
    if (name === 'caller') certificate = { cert: certPem, key: keyPem }
  }
  temporal = await newNamespace()
})

/** A new certificate for the server, put in place as a careful program does it: each file at one stroke. */
async function rotate(): Promise<string> {
  const { certPem, keyPem, serial } = await authority.issue({ dns: ['localhost'], server: true })
  for (const [name, text] of [
    ['server-key.pem', keyPem],
    ['server.pem', certPem],
  ] as const) {
    writeFileSync(join(tls, `${name}.new`), text)
    renameSync(join(tls, `${name}.new`), join(tls, name))
  }
  return serial
}

function project(url: string): string {
  return writeProject({
    'coordinator.hcl': `
      datacenter = "dc1"
      server_config {
        enable_tls          = true
        cert_file           = "${tls}/server.pem"
        key_file            = "${tls}/server-key.pem"
        client_ca_file      = "${tls}/ca.pem"
        worker_id           = "spiffe://example.org/worker/{node}"
        requests_per_second = 1000
        route_rule {
          name           = "everything"
          method         = "*"
          route_patterns = ["/*"]
          uris           = ["${caller}"]
        }
        route_rule {
          name           = "keys"
          method         = "GET"
          route_patterns = ["/.well-known/jwks.json"]
          allow_public   = true
        }
      }
      temporal {
        address   = "${temporal.address}"
        http_url  = "${temporal.httpUrl}"
        namespace = "${temporal.namespace}"
      }`,
    'worker.hcl': `
      node       = "web-1"
      datacenter = "dc1"
      coordinator {
        url       = "${url}"
        ca_file   = "${tls}/ca.pem"
        cert_file = "${tls}/worker.pem"
        key_file  = "${tls}/worker-key.pem"
      }
      temporal {
        address   = "${temporal.address}"
        namespace = "${temporal.namespace}"
      }
      command "hello" {
        argv = ["/bin/echo", "-n", "hello"]
        workflows = ["command"]
      }`,
    ...commanding('command', 'task_queue_target = "node"'),
    ...napping('nap', 'task_queue_target = "datacenter"'),
  })
}

interface Answered {
  status: number
  text: string
  /** Serial number of the certificate that the server showed. */
  serial: string
}

/** Sends a request on a separate connection. */
function ask(port: number, method: string, path: string, body?: object): Promise<Answered> {
  const agent = new Agent({ keepAlive: false, ca, ...certificate, servername: 'localhost' })
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent,
    headers: { 'content-type': 'application/json' },
  })
  return new Promise((resolve, reject) => {
    sent.setTimeout(60_000, () => sent.destroy(new Error('no answer')))
    sent.once('error', reject)
    sent.once('response', (answer) => {
      const { serialNumber = '' } =
        'getPeerCertificate' in answer.socket
          ? (answer.socket.getPeerCertificate as () => { serialNumber?: string })()
          : {}
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      answer.once('error', reject)
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text, serial: serialNumber }))
    })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** What came of triggers that are sent all the time until it is stopped. */
class Load {
  readonly ids: string[] = []
  /** How often each answer came: its status, and the code of a problem. */
  readonly answers = new Map<string, number>()
  /** Requests that got no answer: refused, reset, timed out. */
  readonly broken: string[] = []
  readonly #loops: Promise<void>[]
  #stopped = false

  constructor(port: number, callers: number) {
    this.#loops = Array.from({ length: callers }, () => this.#run(port))
  }

  /** Waits until more are admitted: how soon that is depends on the machine. */
  async admits(more = 20): Promise<void> {
    const before = this.ids.length
    await until(`${more} more are admitted`, () => this.ids.length >= before + more, { within: 60_000 })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #run(port: number): Promise<void> {
    while (!this.#stopped) {
      try {
        const { status, text } = await ask(port, 'POST', '/v1/workflows/nap/executions', {})
        const { code = '', execution } = JSON.parse(text) as { code?: string; execution?: { id: string } }
        const answer = `${status} ${code}`.trim()
        this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
        if ((status === 201 || status === 202) && execution !== undefined) this.ids.push(execution.id)
      } catch (error) {
        this.broken.push(String(error))
      }
      await delay(20)
    }
  }
}

/**
 * Holds that every request was answered, and kept what its answer promised.
 *
 * @param cutOff how many may have been cut off while they were worked on, so that nobody knows how far they had come
 */
async function judge(load: Load, cutOff: number): Promise<void> {
  expect(load.broken).toEqual([])
  // After a start no node is known until it beats.
  const fine = ['201', '202', '503 no_worker', '503 workflow_not_registered', '503 starting', '503 ledger_unavailable']
  expect([...load.answers.keys()].filter((answer) => !fine.includes(answer))).toEqual([])
  expect(load.answers.get('503 ledger_unavailable') ?? 0).toBeLessThanOrEqual(cutOff)
  await areInTemporal(load.ids)
}

/** Holds that each was started in Temporal, once it had its time. */
async function areInTemporal(ids: readonly string[]): Promise<void> {
  expect(new Set(ids).size).toBe(ids.length)
  let missing = [...ids]
  const allThere = async () => {
    const rest: string[] = []
    for (const id of missing) {
      const found = await temporal.api.describe(id)
      if (found?.type !== 'nap') rest.push(id)
    }
    missing = rest
    return missing.length === 0
  }
  await until(`${ids.length} executions are in Temporal`, allThere, { within: 90_000, every: 1000 })
}

/** The names of the published keys, the signing one first. */
async function keys(port: number): Promise<string[]> {
  const { text } = await ask(port, 'GET', '/.well-known/jwks.json')
  return (JSON.parse(text) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
}

async function serves(port: number): Promise<void> {
  await until('the worker is known', async () => (await ask(port, 'GET', '/v1/nodes/web-1')).status === 200, {
    within: 60_000,
  })
}

/** The children of a process that are workerd. */
async function workerdOf(coordinator: Running): Promise<number> {
  const pids = [
    ...coordinator.said.stdout.matchAll(/"child_started","child":"coordinator","role":"coordinator","pid":(\d+)/g),
  ]
  return Number(pids.at(-1)?.[1])
}

test('coordinator under load: certificates rotated, workerd killed → no request lost or refused', {
  timeout: 240_000,
}, async () => {
  const port = await freePort()
  const directory = project(`https://localhost:${port}`)
  const coordinator = startResile(['coordinator', '--project', directory, '--listen', `127.0.0.1:${port}`])
  await until('the coordinator is ready', () => coordinator.said.stdout.includes('resile ready'))
  startResile(['worker', '--project', directory, '--workflows'])
  await serves(port)
  const load = new Load(port, callers)
  for (let round = 0; round < ROUNDS; round += 1) {
    const serial = await rotate()
    await until('the new certificate is shown', async () => (await ask(port, 'GET', '/healthz')).serial === serial)
    await load.admits()
    const pid = await workerdOf(coordinator)
    kill(pid, 'SIGKILL')
    await until('workerd is gone', () => !isRunning(pid))
    await until('another answers', async () => (await ask(port, 'GET', '/healthz')).status === 200)
    await load.admits()
  }
  await load.stop()
  // What workerd was working on when it was killed, and no more than that.
  await judge(load, callers * ROUNDS)

  // A new key signs, and the worker asks for it as soon as it sees its name.
  const [old] = await keys(port)
  expect((await resile(['certs', '--project', directory, '--rotate-permit-key'])).code).toBe(0)
  await until('the new key is published', async () => (await keys(port))[0] !== old)
  expect((await keys(port))[1]).toBe(old)
  await serves(port)
  const body = { target: { node: 'web-1' }, input: { name: 'hello' } }
  const { status, text } = await ask(port, 'POST', '/v1/workflows/command/executions', body)
  expect(status).toBe(201)
  const { execution } = JSON.parse(text) as { execution: { id: string } }
  const said = async () => (await ask(port, 'GET', `/v1/executions/${execution.id}`)).text
  await until('the command has run under a permit of the new key', async () => (await said()).includes('"hello"'))

  coordinator.kill('SIGTERM')
  expect((await coordinator.ended).code).toBe(0)
})

test.skipIf(lacks('systemd'))(
  `${titled('coordinator under load: restarted with its socket kept → no request lost or refused', 'systemd')}`,
  { timeout: 240_000 },
  async () => {
    const port = await freePort()
    const directory = project(`https://localhost:${port}`)
    const stop = join(directory, 'stop')
    const command = [process.execPath, join(repository, 'bin/resile.mjs'), 'coordinator', '--project', directory]
    // What systemd does with a service that has a socket: the socket outlives each of its processes.
    const again = `while [ ! -e ${stop} ]; do sh -c 'LISTEN_PID=$$ exec "$0" "$@"' "$@"; done`
    const socket = ['--listen', `127.0.0.1:${port}`, '-E', `HOME=${process.env['HOME'] ?? '/'}`]
    const service = run('systemd-socket-activate', [...socket, '/bin/sh', '-c', again, 'sh', ...command])
    const pids = () => [...service.said.stdout.matchAll(/^resile ready .* pid=(\d+)$/gm)].map(([, pid]) => Number(pid))
    const end = async () => {
      writeFileSync(stop, '')
      const pid = pids().at(-1) ?? 0
      if (pid !== 0 && isRunning(pid)) kill(pid, 'SIGTERM')
      await service.ended
    }
    atEnd(end)
    startResile(['worker', '--project', directory, '--workflows'])
    await serves(port)
    const load = new Load(port, callers)
    for (let round = 1; round <= ROUNDS; round += 1) {
      await load.admits()
      const pid = pids().at(-1) ?? 0
      kill(pid, 'SIGTERM')
      await until('it has ended', () => !isRunning(pid), { within: 60_000 })
      await until('it is back', () => pids().length > round, { within: 60_000 })
    }
    await load.admits()
    await load.stop()
    await judge(load, 0)
    await end()
  },
)
