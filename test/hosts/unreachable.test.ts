/** A host that goes down: its activities end with a clear failure, and operators are notified once. */
import { kill } from 'node:process'
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { workflow, writeProject } from '../support/files.ts'
import type { Execution } from '../support/http.ts'
import { receive } from '../support/http-server.ts'
import { until } from '../support/until.ts'

const told: { type: string; summary: string; execution: Execution }[] = []

let dev: Dev
beforeAll(async () => {
  const port = await receive(told)
  const hcl = `task_queue_target = "node"
    timeout = "1h"
    escalation { receiver = "oncall" }`
  const project = writeProject({
    'coordinator.hcl': `
      datacenter = "dc1"
      receiver "oncall" {
        webhook { url = "http://127.0.0.1:${port}/" }
      }`,
    'worker.hcl': `
      node = "web-1"
      datacenter = "dc1"
      command "slow" {
        argv      = ["/bin/sleep", "300"]
        timeout   = "10m"
        workflows = ["order"]
      }`,
    ...workflow(
      'order',
      'task_queue_target = "node"',
      `const { runCommand } = proxyActivities({ startToCloseTimeout: '10m', heartbeatTimeout: '15s' })
      export async function order(input) {
        try {
          return await runCommand(input)
        } catch (error) {
          return { type: error.cause?.type ?? error.type, message: error.message }
        }
      }`,
    ),
    // Written by an author who knows nothing of queues and limits.
    ...workflow(
      'look',
      hcl,
      `const { checkHttp } = proxyActivities({ startToCloseTimeout: '1m' })
      export async function look({ times }) {
        for (let time = 0; time < times; time++) {
          await checkHttp({ url: 'http://127.0.0.1:1/' })
          await sleep(500)
        }
      }`,
    ),
  })
  dev = await startDev({ project, nodes: ['web-1', 'web-2', 'web-3', 'web-4'], flags: ['--no-restart'] })
})

const workerOf = (node: string) => dev.file.processes.find(({ name, role }) => role === 'worker' && name === node)
const toldOf = (id: string) => told.filter(({ execution }) => execution.id === id)

test('execution: its host is down, or goes down → fails with host_unreachable, one notification each', {
  timeout: 300_000,
}, async () => {
  kill(workerOf('web-2')?.pid ?? 0, 'SIGKILL')
  const gone = await dev.started('look', { target: { node: 'web-2' }, input: { times: 1 } })
  const going = await dev.started('look', { target: { node: 'web-3' }, input: { times: 1000 } })
  await until('it is in progress', async () => (await dev.temporal.activityQueues(going.execution.id)).length > 2)
  kill(workerOf('web-3')?.pid ?? 0, 'SIGKILL')
  for (const [node, id] of [
    ['web-2', gone.execution.id],
    ['web-3', going.execution.id],
  ] as const) {
    const { error } = await dev.reaches(id, 'failed', { within: 250_000 })
    expect(error).toMatchObject({
      type: 'host_unreachable',
      message: expect.stringContaining(`dc1:node:${node}`),
      details: [{ queue: `dc1:node:${node}`, activity: 'checkHttp' }],
    })
    await until('a human was told', () => toldOf(id).length > 0)
    expect(toldOf(id)).toMatchObject([{ type: 'execution.failed', execution: { error: { type: 'host_unreachable' } } }])
  }
})

test('execution: its host is lost while it runs a command → OutcomeUnknown', { timeout: 200_000 }, async () => {
  const { execution } = await dev.started('order', { target: { node: 'web-4' }, input: { name: 'slow' } })
  const isBegun = async () => {
    const { body } = await dev.call<{ steps: { status: string }[] }>(`/v1/executions/${execution.id}/steps`)
    return body.steps.length > 0
  }
  await until('it has begun', isBegun)
  await new Promise((resolve) => setTimeout(resolve, 5000))
  kill(workerOf('web-4')?.pid ?? 0, 'SIGKILL')
  const { result } = await dev.reaches(execution.id, 'completed', { within: 150_000 })
  expect(result).toMatchObject({ type: 'OutcomeUnknown' })
})

test('execution: another host is down → completes', async () => {
  await dev.ran('look', { target: { node: 'web-1' }, input: { times: 1 } })
  expect(told).toHaveLength(2)
})
