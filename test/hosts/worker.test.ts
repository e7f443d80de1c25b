/** A worker process: how it is monitored, how it stops, and what it survives. */
import { statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { dataDirectory } from '../support/data.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { call, callSocket } from '../support/http.ts'
import { freePort } from '../support/ports.ts'
import { type Running, startResile } from '../support/processes.ts'
import { soaking } from '../support/soak.ts'
import { TemporalServer } from '../support/temporal-server.ts'
import { until } from '../support/until.ts'

interface Ready {
  status: string
  conditions: Record<string, { ok: boolean; since: string; detail: string | null }>
}

const onNode = 'task_queue_target = "node"'
const look = { input: { name: 'look' } }
const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "look" {
      argv      = ["/bin/ls"]
      read_only = true
    }`,
  ...commanding('command', onNode),
  ...workflow(
    'check',
    onNode,
    `const { checkHttp } = proxyActivities({ startToCloseTimeout: '10m', retry: { maximumAttempts: 1 } })
    export async function check(input) { return checkHttp(input) }`,
  ),
})

let temporal: TemporalServer
let dev: Dev
beforeAll(async () => {
  temporal = await TemporalServer.start()
  const flags = ['--temporal-address', temporal.address, '--temporal-http', temporal.httpUrl]
  dev = await startDev({ project, nodes: ['web-1'], flags })
})

/** An extra worker beside those of `resile dev`, once it is ready. */
async function startWorker(node: string, door: string): Promise<Running> {
  const running = startResile(workerArguments(node, dataDirectory(), door))
  await until(`${node} is ready`, async () => (await ready(door)).status === 200, { within: 60_000 })
  return running
}

function workerArguments(node: string, data: string, door: string): string[] {
  const here = `--project ${project} --data ${data} --node ${node} --types web --metrics ${door}`
  const there = `--coordinator unix:${dev.file.socket} --temporal-address ${temporal.address}`
  return ['worker', ...here.split(' '), ...there.split(' ')]
}

const ready = (door: string) =>
  door.startsWith('unix:')
    ? callSocket<Ready>(door.slice('unix:'.length), '/readyz')
    : call<Ready>(`http://${door}/readyz`)

async function metricsOf(door: string): Promise<string> {
  return (await call(`http://${door}/metrics`)).text
}

/** A service that accepts connections and never answers. */
async function silentService(): Promise<string> {
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`
}

/** Makes a worker run an activity that ignores cancellation. */
async function hang(node: string): Promise<void> {
  const input = { url: await silentService(), timeout: '5m' }
  const { execution } = await dev.started('check', { target: { node }, input })
  await until('the activity runs', async () => {
    const events = await dev.temporal.history(execution.workflow_id)
    return events.some(({ eventType }) => eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED')
  })
}

const isKnown = async (node: string) => (await dev.call(`/v1/nodes/${node}`)).status === 200

describe("worker's status listener", () => {
  test('HTTP → health, readiness with conditions, metrics', async () => {
    const door = `127.0.0.1:${await freePort()}`
    const worker = await startWorker('seen', door)
    expect((await call(`http://${door}/healthz`)).status).toBe(200)
    expect((await ready(door)).body).toMatchObject({
      status: 'ready',
      conditions: { temporal: { ok: true }, coordinator: { ok: true }, queues: { ok: true } },
    })
    expect((await call(`http://${door}/nothing`)).status).toBe(404)
    await dev.ran('command', { target: { node: 'seen' }, ...look })
    const metrics = await metricsOf(door)
    expect(metrics).toContain('resile_worker_info{node="seen",build="activities-only"} 1')
    expect(metrics).toContain('resile_activities_total{type="runCommand",outcome="completed"} 1')
    expect(metrics).toContain('resile_activities_running{type="runCommand"} 0')
    expect(metrics).toMatch(/^resile_temporal_reachable 1$/m)
    expect(metrics).toMatch(/^resile_heartbeat_age_seconds \d/m)
    expect(metrics).toMatch(/^process_resident_memory_bytes \d{8,}$/m)
    expect(metrics).toMatch(/^process_cpu_seconds_total \d/m)
    worker.kill('SIGTERM')
    expect(await worker.ended).toMatchObject({ code: 0 })
  })

  test('unix socket, also where a dead one is → mode 660', async () => {
    const socket = join(temporaryDirectory(), 'worker.sock')
    for (let time = 0; time < 2; time++) {
      const worker = await startWorker('door', `unix:${socket}`)
      expect(statSync(socket).mode & 0o777).toBe(0o660)
      worker.kill('SIGKILL')
      await worker.ended
    }
  })

  test('path of a file → refused, the file stays', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'file'), 'precious')
    const { code, stdout } = await startResile(
      workerArguments('x', join(directory, 'data'), `unix:${join(directory, 'file')}`),
    ).ended
    expect(code).toBe(1)
    expect(stdout).toContain('is not a socket')
  })
})

describe("worker's shutdown", () => {
  test('SIGTERM → no new work, exit code 0', async () => {
    const worker = await startWorker('leaving', `127.0.0.1:${await freePort()}`)
    expect(await isKnown('leaving')).toBe(true)
    worker.kill('SIGTERM')
    await until('it is no longer sent work', async () => !(await isKnown('leaving')), { within: 5000 })
    expect(await worker.ended).toMatchObject({ code: 0 })
  })

  test('SIGTERM while an activity ignores cancellation → ends within 15 s', async () => {
    const door = `127.0.0.1:${await freePort()}`
    const worker = await startWorker('stuck', door)
    await hang('stuck')
    await until('it counts the activity', async () =>
      (await metricsOf(door)).includes('resile_activities_running{type="checkHttp"} 1'),
    )
    const began = performance.now()
    worker.kill('SIGTERM')
    await until('it says that it is stopping', async () => (await ready(door)).body.conditions.queues?.ok === false)
    expect(await worker.ended).toMatchObject({ code: 1, signal: null })
    expect(performance.now() - began).toBeLessThan(16_000)
  })

  test('SIGTERM while Temporal and coordinator are silent → ends within 15 s', async () => {
    const worker = await startWorker('alone', `127.0.0.1:${await freePort()}`)
    const coordinator = dev.pid('coordinator')
    kill(coordinator, 'SIGSTOP')
    await temporal.kill()
    try {
      await delay(2000)
      const began = performance.now()
      worker.kill('SIGTERM')
      await worker.ended
      expect(performance.now() - began).toBeLessThan(16_000)
    } finally {
      try {
        kill(coordinator, 'SIGCONT')
      } catch {
        // It hung, and was ended.
      }
      await temporal.startAgain()
    }
  })
})

/** How long both are down, in milliseconds. */
const OUTAGE = soaking(70_000, 15_000)

test('worker: Temporal and coordinator down for a while → not ready, then the same process works on', {
  timeout: 300_000,
}, async () => {
  const door = `127.0.0.1:${await freePort()}`
  const worker = await startWorker('patient', door)
  await temporal.kill()
  await until('it sees that Temporal is away', async () => (await ready(door)).body.conditions.temporal?.ok === false)
  const { status, body } = await ready(door)
  expect(status).toBe(503)
  expect(body).toMatchObject({
    status: 'not_ready',
    conditions: { temporal: { ok: false, detail: expect.any(String) } },
  })
  const coordinator = dev.pid('coordinator')
  kill(coordinator, 'SIGKILL')
  await delay(OUTAGE)
  await temporal.startAgain()
  await until('it is ready again', async () => (await ready(door)).status === 200, { within: 60_000 })
  const execution = await dev.ran('command', { target: { node: 'patient' }, ...look })
  expect(execution.result).toMatchObject({ exitCode: 0 })
  expect(dev.pid('coordinator')).not.toBe(coordinator)
  // It is still the same process.
  expect(await metricsOf(door)).toContain('resile_activities_total{type="runCommand",outcome="completed"} 1')
  worker.kill('SIGTERM')
  expect(await worker.ended).toMatchObject({ code: 0 })
})
