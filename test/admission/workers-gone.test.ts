import { kill } from 'node:process'
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type ConstraintUse, type Decision, type List, problem } from '../support/http.ts'
import { until } from '../support/until.ts'

const limits = `
constraint {
  kind = "maxExecution"
  value = 10
  period = "24h"
}
constraint {
  kind = "concurrency"
  value = 5
}`
const project = writeProject({
  ...napping('nap', `task_queue_target = "datacenter"${limits}`),
  ...napping('nap-there', `task_queue_target = "node"${limits}`),
  ...napping('nap-type', `task_queue_target = "node_type:web"${limits}`),
  // Configured, but no code exists for it.
  'workflows/ghost.hcl': `task_queue_target = "node"${limits}\n`,
})
const web1 = { target: { node: 'web-1' } }

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web', 'web-2:web'], flags: ['--no-restart'] })
})

const used = async (name: string) => {
  const { body } = await dev.call<{ constraints: ConstraintUse[] }>(`/v1/workflows/${name}`)
  return body.constraints.map((constraint) => constraint.used)
}
const recorded = async (name: string, code: string) => {
  const { body } = await dev.call<List<Decision>>(`/v1/decisions?workflow=${name}&code=${code}`)
  return body.items
}

test('start: workflow registered nowhere → 503 workflow_not_registered, recorded, not counted', async () => {
  const answer = await dev.start('ghost', web1)
  const { decision } = problem(answer, 503, 'workflow_not_registered')
  expect(answer.headers.get('retry-after')).toBe('5')
  expect(decision).toMatchObject({ outcome: 'denied', code: 'workflow_not_registered', task_queue: 'dc1:node:web-1' })
  expect(await recorded('ghost', 'workflow_not_registered')).toEqual([decision])
  expect((await dev.call<Decision>(`/v1/decisions/${decision?.id}`)).body).toEqual(decision)
  expect(await used('ghost')).toEqual([0, 0])
  expect((await dev.call<List<unknown>>('/v1/executions?workflow=ghost')).body.items).toEqual([])
  expect(await dev.temporal.list('ghost')).toEqual([])
})

test('start: worker of the node killed → no_worker within 20 s, other nodes admitted', async () => {
  const [pid] = dev.file.processes
    .filter(({ name, role }) => role === 'worker' && name === 'web-2')
    .map((child) => child.pid)
  expect(pid).toBeTypeOf('number')
  await dev.started('nap-there', { target: { node: 'web-2' } })
  kill(pid ?? 0, 'SIGKILL')
  await refused('nap-there', { target: { node: 'web-2' } })
  problem(await dev.start('nap-there', { target: { node: 'web-2' } }), 503, 'no_worker')
  await dev.started('nap-there', web1)
  await dev.started('nap-type')
})

test('start: all workers killed → no_worker within 20 s, recorded, not counted', async () => {
  const headers = { 'idempotency-key': 'before', prefer: 'wait=30' }
  const first = await dev.start('nap-there', web1, headers)
  expect(first.status).toBe(201)
  const before = await Promise.all(['nap', 'nap-there', 'nap-type'].map(used))
  for (const pid of dev.pids('worker')) {
    // The other one is dead already.
    try {
      kill(pid, 'SIGKILL')
    } catch {}
  }
  await refused('nap-there', web1)
  for (const [name, body] of [
    ['nap', {}],
    ['nap-there', web1],
    ['nap-type', {}],
  ] as const) {
    const answer = await dev.start(name, body)
    const { decision } = problem(answer, 503, 'no_worker')
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(decision).toMatchObject({ outcome: 'denied', code: 'no_worker', workflow: name })
    expect(await recorded(name, 'no_worker')).toContainEqual(decision)
  }
  expect((await dev.call<List<unknown>>('/v1/nodes')).body.items).toEqual([])
  const after = await Promise.all(['nap', 'nap-there', 'nap-type'].map(used))
  for (const [index, [executions = -1]] of after.entries()) expect(executions).toBe(before[index]?.[0])
  // Looked up before routing: what was admitted stays admitted.
  const again = await dev.start('nap-there', web1, headers)
  expect(again).toMatchObject({ status: 200 })
  expect(again.headers.get('idempotent-replayed')).toBe('true')
})

test('resile dev: --no-restart, workers killed → stay dead', async () => {
  problem(await dev.start('nap-there', web1), 503, 'no_worker')
  expect((await dev.call('/readyz')).status).toBe(200)
})

/** Waits until a start would be refused; asking does not start anything. */
async function refused(name: string, body: unknown): Promise<void> {
  const isRefused = async () => {
    const answer = await dev.call<{ decision: Decision }>(`/v1/workflows/${name}/evaluate`, { body })
    return answer.body.decision.code === 'no_worker'
  }
  await until(`${name} is refused`, isRefused, { within: 20_000 })
}
