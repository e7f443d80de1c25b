/** `resile reload`: all three roles take other files as a whole, or keep what they have and say why. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { type Coordinator, startCoordinator } from '../support/coordinator.ts'
import { dataDirectory } from '../support/data.ts'
import { commanding, napping, temporaryDirectory, writeProject } from '../support/files.ts'
import type { Decision, Execution, List } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { openCoordinatorHcl, startLiveWorker, stopped } from '../support/live-worker.ts'
import { resile, startResile } from '../support/processes.ts'
import { newNamespace, type TemporalNamespace } from '../support/shared-temporal.ts'
import { until } from '../support/until.ts'

interface Ready {
  version: string
  config: { hash: string; loaded_at: string }
}
interface Outcome {
  items: { role: string; pid: number; result: { problems: string[]; hash: string } | null }[]
}

const datacenter = 'task_queue_target = "datacenter"'
const healing = (value: number) => `${datacenter}
constraint {
  kind = "maxExecution"
  value = ${value}
  period = "24h"
}`
const commands = (answer: string, note: string) => `
  node = "web-1"
  datacenter = "dc1"
  command "slow" {
    argv      = ["/bin/sh", "-c", "echo began >> ${note}; sleep 4; echo ${answer}"]
    workflows = ["run"]
  }`

let temporal: TemporalNamespace
let coordinator: Coordinator
let project: string
let note: string
let workerData: string
let isSick = false
let sickUrl: string
beforeAll(async () => {
  temporal = await newNamespace()
  note = join(temporaryDirectory(), 'note')
  project = writeProject({
    'coordinator.hcl': openCoordinatorHcl(temporal),
    ...napping('heal', healing(1)),
    ...napping('nap', datacenter),
    ...commanding('run', 'task_queue_target = "node"'),
    'worker.hcl': commands('old', note),
  })
  coordinator = await startCoordinator({ project })
  const worker = await startLiveWorker({ project, coordinator, address: `unix:${coordinator.socket}`, temporal })
  workerData = worker.data
  const port = await listen((_, response) => void response.writeHead(isSick ? 500 : 200).end())
  sickUrl = `http://127.0.0.1:${port}/`
})
beforeEach(() => write('workflows/heal.hcl', healing(1)))

const write = (file: string, text: string): void => writeFileSync(join(project, file), `${text}\n`)
const ready = async (): Promise<Ready> => (await coordinator.call<Ready>('/readyz')).body
const start = (workflow: string, body: object) =>
  coordinator.call<{ decision: Decision; execution: Execution }>(`/v1/workflows/${workflow}/executions`, null, {
    body: { target: { datacenter: 'dc1' }, ...body },
  })

/** The process that holds a data directory. */
const holder = (data: string): number => Number(readFileSync(join(data, 'lock.pid'), 'utf8'))

async function reload(data: string): Promise<{ code: number | null; outcome: Outcome; stderr: string }> {
  const { code, stdout, stderr } = await resile(['reload', '--data', data, '--json'])
  return { code, outcome: JSON.parse(stdout) as Outcome, stderr }
}

describe('coordinator', () => {
  test('broken file → kept, with the reason; decisions say by which configuration', async () => {
    const before = await ready()
    expect(before.config.hash).toMatch(/^[0-9a-f]{16}$/)
    write('workflows/heal.hcl', 'task_queue_target = "nowhere"')
    const { code, stdout } = await resile(['reload', '--data', coordinator.data])
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('keeps configuration') })
    expect(stdout).toMatch(/workflows\/heal\.hcl:1:\d+.*task_queue_target/)
    expect(await ready()).toMatchObject({ config: before.config })
    const { body } = await start('nap', {})
    expect(body.decision).toMatchObject({ config: { hash: before.config.hash, loaded_at: before.config.loaded_at } })
  })

  test('port that would have to change → kept, with the reason', async () => {
    const text = readFileSync(join(project, 'coordinator.hcl'), 'utf8')
    write('coordinator.hcl', text.replace('server_config {', 'server_config {\nlisten = "127.0.0.1:1"'))
    const { code, outcome } = await reload(coordinator.data)
    write('coordinator.hcl', text)
    expect({ code, outcome }).toMatchObject({
      code: 1,
      outcome: { items: [{ role: 'coordinator', result: { problems: [expect.stringContaining('needs a restart')] } }] },
    })
  })

  test("Temporal's credentials gone, the new ones too → kept as it was, and still serves", async () => {
    const withKey = (file: string) =>
      openCoordinatorHcl({ ...temporal, httpUrl: 'https://127.0.0.1:1' }).replace(
        'temporal {',
        `temporal {\n      api_key_file = "${file}"`,
      )
    const dir = writeProject({ 'coordinator.hcl': withKey('old-key'), ...napping('nap', datacenter) })
    writeFileSync(join(dir, 'old-key'), 'secret', { mode: 0o600 })
    const keyed = await startCoordinator({ project: dir })
    const nodes = async () => (await keyed.call('/v1/nodes')).status
    rmSync(join(dir, 'old-key'))
    writeFileSync(join(dir, 'coordinator.hcl'), withKey('missing-key'))
    expect(await reload(keyed.data)).toMatchObject({
      code: 1,
      outcome: { items: [{ result: { problems: [expect.stringContaining('missing-key')] } }] },
    })
    expect(await nodes()).toBe(200)
    writeFileSync(join(dir, 'missing-key'), 'secret', { mode: 0o600 })
    expect(await reload(keyed.data)).toMatchObject({ code: 0 })
    expect(await nodes()).toBe(200)
  })

  test('limit raised → a detector that waits triggers within 30 s', async () => {
    const watching = (name: string, workflow: string) => `
      detector "${name}" {
        workflow = "${workflow}"
        interval = "1s"
        target { datacenter = "dc1" }
        http_check { url = "${sickUrl}" }
      }`
    const detecting = writeProject({ 'detectors.hcl': watching('sick', 'heal') })
    const data = dataDirectory()
    const flags = ['--coordinator', `unix:${coordinator.socket}`, '--data', data, '--project', detecting]
    expect((await start('heal', {})).status).toBe(201)
    const detector = startResile(['detector', ...flags])
    atEnd(() => stopped(detector))
    isSick = true
    const decisions = async () =>
      (await coordinator.call<List<Decision>>('/v1/decisions?workflow=heal')).body.items.map(({ outcome }) => outcome)
    await until('the trigger is denied', async () => (await decisions()).includes('denied'), { within: 60_000 })
    const { hash } = (await ready()).config
    write('workflows/heal.hcl', healing(3))
    const diff = () => resile(['diff', '--project', project, '--data', coordinator.data])
    expect(await diff()).toMatchObject({ code: 0, stdout: 'heal: maxExecution 1 → 3 per 24h, 1 used now\n' })
    expect(await reload(coordinator.data)).toMatchObject({
      code: 0,
      outcome: { items: [{ result: { problems: [] } }] },
    })
    expect((await ready()).config.hash).not.toBe(hash)
    expect(await diff()).toMatchObject({ code: 0, stdout: 'nothing would change\n' })
    const admitted = async () => (await decisions()).filter((outcome) => outcome === 'admitted').length
    await until('it has triggered', async () => (await admitted()) === 2, { within: 30_000 })

    const pid = holder(join(data, 'detector'))
    writeFileSync(join(detecting, 'detectors.hcl'), 'detector "sick" {}')
    expect(await reload(data)).toMatchObject({ code: 1, outcome: { items: [{ role: 'detector', pid }] } })
    writeFileSync(join(detecting, 'detectors.hcl'), watching('other', 'nap'))
    expect(await reload(data)).toMatchObject({ code: 0, outcome: { items: [{ role: 'detector', pid }] } })
    const naps = async () => (await coordinator.call<List<Decision>>('/v1/decisions?workflow=nap')).body.items
    const isOther = ({ trigger }: Decision) => trigger?.source === 'other' || trigger?.name === 'other'
    await until('the other one triggers', async () => (await naps()).some(isOther), { within: 60_000 })
    isSick = false
  }, 240_000)

  test('replaced under load → every request is answered, each start once', async () => {
    const metrics = async () => (await coordinator.call('/metrics')).text
    let isOver = false
    const statuses: number[] = []
    const ids: string[] = []
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, body } = await start('nap', { reason: 'load' })
        statuses.push(status)
        ids.push(body.execution.id)
      }
    })
    for (const value of [4, 5]) {
      write('workflows/heal.hcl', healing(value))
      expect((await reload(coordinator.data)).code).toBe(0)
    }
    isOver = true
    await Promise.all(load)
    expect([...new Set(statuses)].sort().filter((status) => status !== 201 && status !== 202)).toEqual([])
    expect(new Set(ids).size).toBe(ids.length)
    const { config, version } = await ready()
    expect(await metrics()).toContain(`resile_config_info{hash="${config.hash}"} 1`)
    expect(await metrics()).toContain(`resile_build_info{version="${version}"} 1`)
  }, 120_000)
})

describe('worker', () => {
  const run = () => start('run', { target: { node: 'web-1' }, input: { name: 'slow' } })
  const ended = async (id: string): Promise<Execution> =>
    until(
      `${id} has ended`,
      async () => {
        const { body } = await coordinator.call<Execution>(`/v1/executions/${id}`)
        return body.status === 'running' ? false : body
      },
      { within: 60_000 },
    )

  test('command changed while it runs → it ends as it was, the next one is the new one, the same process', async () => {
    const { body } = await run()
    await until('it runs', () => existsSync(note), { within: 30_000 })
    write('worker.hcl', commands('new', note))
    const pid = holder(join(workerData, 'workers/dc1/web-1'))
    const { code, outcome } = await reload(workerData)
    expect({ code, outcome }).toMatchObject({
      code: 0,
      outcome: { items: [{ role: 'worker of web-1', pid, result: { problems: [] } }] },
    })
    expect(await ended(body.execution.id)).toMatchObject({ status: 'completed', result: { stdout: 'old\n' } })
    const next = await run()
    expect(await ended(next.body.execution.id)).toMatchObject({ status: 'completed', result: { stdout: 'new\n' } })
  }, 120_000)

  test('broken file → kept, with the reason', async () => {
    write('worker.hcl', 'node = 5')
    const { code, outcome } = await reload(workerData)
    expect({ code, outcome }).toMatchObject({
      code: 1,
      outcome: { items: [{ result: { problems: expect.arrayContaining([expect.stringContaining('worker.hcl')]) } }] },
    })
    write('worker.hcl', commands('new', note))
  })

  test('another node → kept, with the reason', async () => {
    const pid = holder(join(workerData, 'workers/dc1/web-1'))
    write('worker.hcl', commands('new', note).replace('node = "web-1"', 'node = "web-2"'))
    const { code, outcome } = await reload(workerData)
    write('worker.hcl', commands('new', note))
    expect({ code, outcome }).toMatchObject({
      code: 1,
      outcome: { items: [{ pid, result: { problems: [expect.stringContaining('needs a restart')] } }] },
    })
  })

  test('files that it can not run by → kept, with the reason, and it works on', async () => {
    write('worker.hcl', `${commands('newest', note)}\nmetrics { listen = "${new URL(sickUrl).host}" }`)
    const { code, outcome } = await reload(workerData)
    expect({ code, outcome }).toMatchObject({
      code: 1,
      outcome: { items: [{ result: { problems: [expect.stringContaining('EADDRINUSE')] } }] },
    })
    write('worker.hcl', commands('new', note))
    const { body } = await run()
    expect(await ended(body.execution.id)).toMatchObject({ status: 'completed', result: { stdout: 'new\n' } })
  }, 120_000)
})

test('nothing runs there → exit code 4', async () => {
  const data = temporaryDirectory()
  expect(await resile(['reload', '--data', data])).toMatchObject({
    code: 4,
    stderr: `resile: nothing runs in ${data}\n`,
  })
})
