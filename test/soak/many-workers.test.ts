/** Many workers on one machine, at one Temporal. */
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, writeProject } from '../support/files.ts'
import { startResile } from '../support/processes.ts'
import { lengthy } from '../support/soak.ts'
import { TemporalServer } from '../support/temporal-server.ts'
import { until } from '../support/until.ts'

const COUNT = lengthy(25, 12)
const project = writeProject({
  'worker.hcl': `
    node = "web-0"
    datacenter = "dc1"
    command "look" {
      argv      = ["/bin/ls"]
      read_only = true
    }`,
  ...commanding('command', 'task_queue_target = "node"'),
})
const nodes = Array.from({ length: COUNT }, (_, index) => `web-${index + 1}`)

let temporal: TemporalServer
let dev: Dev
beforeAll(async () => {
  temporal = await TemporalServer.start()
  const flags = ['--temporal-address', temporal.address, '--temporal-http', temporal.httpUrl]
  dev = await startDev({ project, nodes: ['web-0'], flags })
})

test(`workers: ${COUNT} on one Temporal → all serve, one poll for each queue`, { timeout: 300_000 }, async () => {
  // Its own worker polls by then.
  await dev.ran('command', { target: { node: 'web-0' }, input: { name: 'look' } })
  const before = { activity: await temporal.polls('Activity'), workflow: await temporal.polls('Workflow') }
  const data = temporaryDirectory()
  const workers = nodes.map((node) => {
    const here = `--project ${project} --data ${data} --node ${node} --datacenter dc1 --types web`
    const there = `--coordinator unix:${dev.file.socket} --temporal-address ${temporal.address}`
    return startResile(['worker', ...here.split(' '), ...there.split(' ')])
  })
  const isLive = async (node: string) => (await dev.call(`/v1/nodes/${node}`)).status === 200
  await until('all beat', async () => (await Promise.all(nodes.map(isLive))).every(Boolean), { within: 150_000 })
  const executions = await Promise.all(
    nodes.map((node) => dev.ran('command', { target: { node }, input: { name: 'look' } })),
  )
  const exitCodes = executions.map(({ result }) => (result as { exitCode: number }).exitCode)
  expect(exitCodes).toEqual(nodes.map(() => 0))
  // Three queues each; activity-only workers take no workflow tasks.
  const polls = async () => ({ activity: await temporal.polls('Activity'), workflow: await temporal.polls('Workflow') })
  const expected = { activity: before.activity + 3 * COUNT, workflow: before.workflow }
  await until('each queue is polled once', async () => {
    const now = await polls()
    if (now.activity === expected.activity && now.workflow === expected.workflow) return true
    throw new Error(JSON.stringify({ now, expected }))
  })
  for (const worker of workers) worker.kill('SIGTERM')
  const codes = await Promise.all(workers.map(async ({ ended }) => (await ended).code))
  expect(codes).toEqual(nodes.map(() => 0))
})
