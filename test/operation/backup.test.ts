/** `resile backup` while the coordinator is busy, `resile restore` when its disk is gone: no limit is exceeded by that. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { Freeze } from '../../shared/wire.ts'
import { type Coordinator, startCoordinator } from '../support/coordinator.ts'
import { napping, temporaryDirectory, writeProject } from '../support/files.ts'
import type { Decision, Execution, List } from '../support/http.ts'
import { openCoordinatorHcl, startLiveWorker } from '../support/live-worker.ts'
import { freePort } from '../support/ports.ts'
import { resile } from '../support/processes.ts'
import { newNamespace, type TemporalNamespace } from '../support/shared-temporal.ts'
import { until } from '../support/until.ts'

const limited = (value: number, more = '') => `task_queue_target = "datacenter"
${more}
constraint {
  kind = "maxExecution"
  value = ${value}
  period = "1h"
}`

let temporal: TemporalNamespace
let project: string
let listen: string
let coordinator: Coordinator
beforeAll(async () => {
  temporal = await newNamespace()
  listen = `127.0.0.1:${await freePort()}`
  project = writeProject({
    'coordinator.hcl': openCoordinatorHcl(temporal),
    'worker.hcl': 'node = "web-1"\ndatacenter = "dc1"\n',
    ...napping('limited', limited(5)),
    ...napping('asked', limited(1, 'mode = "approve"\nvalid_for = "1h"')),
    ...napping('nap', 'task_queue_target = "datacenter"'),
  })
  coordinator = await startCoordinator({ project, listen })
  await startLiveWorker({ project, coordinator, address: `http://${listen}`, temporal })
})

const start = (workflow: string, input: object = {}) =>
  coordinator.call<{ decision: Decision; execution: Execution & { id: string } }>(
    `/v1/workflows/${workflow}/executions`,
    null,
    { body: { target: { datacenter: 'dc1' }, input } },
  )
const admitted = async (workflow: string, input: object = {}): Promise<string> => {
  const { status, body } = await start(workflow, input)
  expect([201, 202]).toContain(status)
  return body.execution.id
}
const statusOf = async (id: string) => (await coordinator.call<Execution>(`/v1/executions/${id}`)).body.status
const approve = (id: string) => coordinator.call(`/v1/executions/${id}/approve`, null, { body: { reason: 'test' } })

test('busy coordinator saved, disk wiped, restored → limits hold by what Temporal shows, freezes and approvals are back', async () => {
  await admitted('limited')
  await admitted('limited')
  const approvedLater = await admitted('asked')
  const stillWaiting = await admitted('asked')
  const open = await admitted('nap', { ms: 600_000 })
  const freeze = await coordinator.call<Freeze>('/v1/freezes', null, {
    body: { scope: { node: 'web-9' }, reason: 'x' },
  })
  expect(freeze.status).toBe(201)

  let isOver = false
  const naps: string[] = []
  const load = Array.from({ length: 3 }, async () => {
    while (!isOver) naps.push(await admitted('nap'))
  })
  await until('it is busy', () => naps.length > 20)
  const file = join(temporaryDirectory(), 'coordinator.zip')
  const saved = await resile(['backup', file, '--project', project, '--data', coordinator.data])
  expect(saved).toMatchObject({ code: 0, stdout: expect.stringMatching(/^saved \d+ databases and \d+ files/) })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  isOver = true
  await Promise.all(load)

  // What the backup doesn't know.
  await admitted('limited')
  expect((await approve(approvedLater)).status).toBe(201)
  await until('it is over', async () => (await statusOf(approvedLater)) === 'completed', { within: 30_000 })

  expect(await resile(['restore', file, '--project', project, '--data', coordinator.data])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another coordinator runs here'),
  })
  const { data } = coordinator
  expect(await coordinator.stop()).toMatchObject({ code: 0 })
  rmSync(data, { recursive: true })
  const restored = await resile(['restore', file, '--project', project, '--data', data])
  expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/^restored \d+ databases/) })
  coordinator = await startCoordinator({ project, data, listen })

  const decided = async () => {
    const answer = await start('limited')
    return answer.status === 503 ? false : answer
  }
  const outcomes: number[] = []
  while (outcomes.length < 6) outcomes.push((await until('it decides', decided, { within: 60_000 })).status)
  expect(outcomes.filter((status) => status < 300)).toHaveLength(2)
  expect(outcomes.filter((status) => status === 429)).toHaveLength(4)
  const started = async () => (await temporal.api.list('limited')).length
  await until('all have started', async () => (await started()) >= 5, { within: 30_000 })
  expect(await started()).toBe(5)

  const freezes = await coordinator.call<List<Freeze>>('/v1/freezes')
  expect(freezes.body.items).toMatchObject([{ id: freeze.body.id, scope: { node: 'web-9' }, reason: 'x' }])
  expect(await statusOf(stillWaiting)).toBe('awaiting_approval')
  expect(await statusOf(approvedLater)).toBe('completed')
  expect(await statusOf(open)).toBe('running')
  expect((await approve(stillWaiting)).status).toBe(429)
  const { items } = (await coordinator.call<List<Execution>>('/v1/executions?limit=500')).body
  expect(items.filter(({ id }) => id === null)).toEqual([])
}, 240_000)

test('damaged, missing or no backup → refused, nothing changed', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'coordinator.zip')
  const data = join(directory, 'data')
  expect((await resile(['backup', file, '--data', coordinator.data])).code).toBe(0)
  expect(await resile(['backup', file, '--data', coordinator.data])).toMatchObject({
    code: 1,
    stderr: `resile: ${file} is there already\n`,
  })
  const bytes = readFileSync(file)
  const middle = Math.floor(bytes.length / 3)
  for (const [content, message] of [
    [bytes.fill(0x41, middle, middle + 64), /damaged|can't be read/],
    [bytes.subarray(0, middle), /no backup|can't be read/],
    [Buffer.from('nothing'), /no backup|can't be read/],
  ] as const) {
    writeFileSync(file, content)
    const { code, stderr } = await resile(['restore', file, '--data', data])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(message) })
    expect(existsSync(join(data, 'coordinator'))).toBe(false)
  }
  expect(await resile(['restore', join(directory, 'none'), '--data', data])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('ENOENT'),
  })
  expect(await resile(['backup', join(directory, 'x'), '--data', data])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no coordinator has run'),
  })
})
