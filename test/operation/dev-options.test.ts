import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { type Execution, type List, problem } from '../support/http.ts'
import { startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const anywhere = 'task_queue_target = "datacenter"'
const once = 'constraint {\n  kind = "maxExecution"\n  value = 1\n  period = "1h"\n}'

interface Node {
  node: string
  datacenter: string
  types: string[]
  labels: Record<string, string>
}
const nodesOf = async (dev: Dev) => (await dev.call<List<Node>>('/v1/nodes')).body.items

describe('resile dev, two datacenters', () => {
  const project = writeProject({
    'coordinator.hcl': 'datacenters = ["ams", "fra"]\n',
    'worker.hcl': `
      node = "not-this-one"
      datacenter = "ams"
      labels = { rack = "r1" }
      coordinator { url = "http://127.0.0.1:1" }
      temporal { address = "127.0.0.1:1" }
      command "environment" {
        argv = ["/usr/bin/env"]
        workflows = ["command", "command-type", "command-datacenter"]
      }`,
    ...commanding('command', 'task_queue_target = "node"'),
    ...commanding('command-type', 'task_queue_target = "node_type"'),
    ...commanding('command-datacenter', anywhere),
    ...napping('once', `${anywhere}\n${once}`),
    ...napping('once-there', `task_queue_target = "node"\n${once}`),
  })
  let dev: Dev
  beforeAll(async () => {
    dev = await startDev({ project, nodes: ['web-1:web,edge@ams', 'web-2:web@fra'] })
  })
  const input = { name: 'environment' }
  const nodeOf = ({ result }: Execution) => /^RESILE_NODE=(.*)$/m.exec((result as { stdout: string }).stdout)?.[1]

  test('--node → those nodes, each with the labels and commands of worker.hcl', async () => {
    const nodes = await nodesOf(dev)
    expect(nodes.sort((a, b) => a.node.localeCompare(b.node))).toMatchObject([
      { node: 'web-1', datacenter: 'ams', types: ['web', 'edge'], labels: { rack: 'r1' } },
      { node: 'web-2', datacenter: 'fra', types: ['web'], labels: { rack: 'r1' } },
    ])
  })

  test.each([
    ['command', { node: 'web-1' }, 'ams', 'ams:node:web-1', 'web-1'],
    // The node's datacenter.
    ['command', { node: 'web-2' }, 'fra', 'fra:node:web-2', 'web-2'],
    ['command-type', { node_type: 'web', datacenter: 'fra' }, 'fra', 'fra:type:web', 'web-2'],
    // The first datacenter.
    ['command-type', { node_type: 'web' }, 'ams', 'ams:type:web', 'web-1'],
    ['command-datacenter', {}, 'ams', 'ams', 'web-1'],
    ['command-datacenter', { datacenter: 'fra' }, 'fra', 'fra', 'web-2'],
  ])('%s for %j → runs in %s on %s', async (name, target, datacenter, queue, node) => {
    const execution = await dev.ran(name, { target, input })
    expect(execution).toMatchObject({ datacenter, task_queue: queue })
    expect(nodeOf(execution)).toBe(node)
    expect((await dev.call<List<Execution>>(`/v1/executions?datacenter=${datacenter}`)).body.items[0]?.id).toBe(
      execution.id,
    )
  })

  test('node of another datacenter → no_worker', async () => {
    problem(await dev.start('command', { target: { node: 'web-1', datacenter: 'fra' }, input }), 503, 'no_worker')
    problem(
      await dev.start('command-type', { target: { node_type: 'edge', datacenter: 'fra' }, input }),
      503,
      'no_worker',
    )
  })

  test('limit → counted in each datacenter', async () => {
    for (const datacenter of ['ams', 'fra']) {
      await dev.started('once', { target: { datacenter } })
      const { decision } = problem(await dev.start('once', { target: { datacenter } }), 429, 'constraint_denied')
      expect(decision).toMatchObject({ datacenter, constraints: [{ scope: 'datacenter', limit: 1, used: 1 }] })
    }
    await dev.started('once-there', { target: { node: 'web-1' } })
    problem(await dev.start('once-there', { target: { node: 'web-1' } }), 429, 'constraint_denied')
    await dev.started('once-there', { target: { node: 'web-2' } })
  })

  test('lists → items of both', async () => {
    const { body } = await dev.call<List<Execution>>('/v1/executions?limit=500')
    expect(new Set(body.items.map(({ datacenter }) => datacenter))).toEqual(new Set(['ams', 'fra']))
    const times = body.items.map(({ admitted_at }) => Date.parse(admitted_at))
    expect(times).toEqual([...times].sort((a, b) => b - a))
    for (const { id } of body.items.slice(0, 5)) {
      expect((await dev.call<Execution>(`/v1/executions/${id}`)).body.id).toBe(id)
      expect((await dev.call(`/v1/decisions/${id}`)).status).toBe(200)
    }
  })
})

describe('resile dev, given Temporal, separate worker', () => {
  let first: Dev
  let dev: Dev
  beforeAll(async () => {
    first = await startDev({ project: writeProject(napping('nap', anywhere)), temporal: 'own' })
    const project = writeProject({
      'coordinator.hcl': 'datacenter = "dc2"\n',
      ...napping('nap', anywhere),
      ...commanding('command', 'task_queue_target = "node"'),
    })
    const { temporal, temporal_http } = first.file
    const flags = ['--no-workers', '--temporal-address', temporal, '--temporal-http', temporal_http]
    dev = await startDev({ project, flags })
  })

  test('no --node, no worker.hcl → node local of type local', async () => {
    expect(await nodesOf(first)).toMatchObject([{ node: 'local', datacenter: 'dc1', types: ['local'] }])
  })

  test('--temporal-address → used, none started', async () => {
    expect(dev.ready).toMatchObject({ temporal: first.at('temporal'), temporal_http: first.at('temporal_http') })
    expect(dev.pids('temporal')).toEqual([])
  })

  test('--no-workers → no nodes, no_worker', async () => {
    expect(dev.pids('worker')).toEqual([])
    expect(await nodesOf(dev)).toEqual([])
    problem(await dev.start('nap'), 503, 'no_worker')
  })

  test('resile worker → serves the node of worker.hcl until it is stopped', async () => {
    const worker = `
      node = "web-9"
      datacenter = "dc2"
      types = ["web"]
      coordinator { url = "${dev.coordinator}" }
      temporal { address = "${dev.at('temporal')}" }
      command "environment" {
        argv = ["/usr/bin/env"]
        workflows = ["command", "command-type", "command-datacenter"]
      }`
    writeFileSync(join(dev.project, 'worker.hcl'), `${worker}\n`)
    const running = startResile(['worker', '--project', dev.project, '--workflows'])
    await until('the node is live', async () => (await nodesOf(dev)).length === 1, { within: 60_000 })
    expect(await nodesOf(dev)).toMatchObject([{ node: 'web-9', datacenter: 'dc2', types: ['web'] }])
    const execution = await dev.ran('command', { target: { node: 'web-9' }, input: { name: 'environment' } })
    expect(execution.result).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('RESILE_NODE=web-9') })
    running.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ code: 0 })
    // It has reported that it drains.
    expect(await nodesOf(dev)).toEqual([])
    problem(await dev.start('command', { target: { node: 'web-9' }, input: {} }), 503, 'no_worker')
  })

  test('stopped → the given Temporal goes on', async () => {
    expect(await dev.stop()).toMatchObject({ code: 0 })
    expect(await first.temporal.isUp()).toBe(true)
  })
})

test('resile dev: no --data → data in .resile, by which the command finds the coordinator', async () => {
  const project = writeProject({ ...napping('nap', anywhere), 'worker.hcl': 'node = "web-3"\ndatacenter = "dc1"\n' })
  const dev = await startDev({ project, data: join(project, '.resile') })
  expect(await nodesOf(dev)).toMatchObject([{ node: 'web-3', datacenter: 'dc1' }])
  const { code, stdout } = await startResile(['nodes'], { cwd: project }).ended
  expect(code).toBe(0)
  expect(stdout).toContain('web-3')
  await dev.stop()
})

test("resile dev: path of the data longer than a socket's may be → works", async () => {
  const data = join(temporaryDirectory(), 'a'.repeat(100), 'b'.repeat(100))
  const dev = await startDev({ project: writeProject(napping('nap', anywhere)), data })
  expect(await dev.resile('nodes')).toMatchObject({ code: 0 })
  expect((await dev.callSocket('/readyz')).status).toBe(200)
  await dev.stop()
})
