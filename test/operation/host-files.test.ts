/** A host that has its own files alone, and a coordinator that has just been started again. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { dataDirectory } from '../support/data.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

let dev: Dev
beforeAll(async () => {
  const project = writeProject({
    ...napping('nap', 'task_queue_target = "datacenter"'),
    ...commanding('run', 'task_queue_target = "node"'),
  })
  dev = await startDev({ project, nodes: ['web-1'] })
})

/** A directory with one configuration file and no others. */
function hostWith(file: string, hcl: string): string {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, file), hcl)
  return directory
}

describe('host with its own files alone', () => {
  test('worker.hcl → the worker serves its queues', async () => {
    const project = hostWith(
      'worker.hcl',
      `node = "web-7"
      datacenter = "dc1"
      command "look" {
        argv      = ["/bin/ls"]
        read_only = true
      }`,
    )
    const there = ['--coordinator', `unix:${dev.file.socket}`, '--temporal-address', dev.at('temporal')]
    const worker = startResile([
      'worker',
      '--project',
      project,
      '--data',
      dataDirectory(),
      '--namespace',
      dev.at('namespace'),
      ...there,
    ])
    atEnd(async () => {
      worker.kill('SIGTERM')
      await worker.ended
    })
    const isServed = async () => (await dev.call('/v1/nodes/web-7')).status === 200
    await until('it serves its queues', isServed, { within: 60_000 })
    const { result } = await dev.ran('run', { target: { node: 'web-7' }, input: { name: 'look' } })
    expect(result).toMatchObject({ exitCode: 0 })
    expect(worker.said.stderr).not.toMatch(/warning|error/)
  })

  test('detectors.hcl → the detector triggers', async () => {
    const project = hostWith(
      'detectors.hcl',
      `detector "always" {
        workflow = "nap"
        interval = "1s"
        target { datacenter = "dc1" }
        tcp_check { address = "127.0.0.1:1" }
      }`,
    )
    const where = ['--project', project, '--data', dataDirectory(), '--coordinator', `unix:${dev.file.socket}`]
    const { code, stderr } = await startResile(['detector', '--once', ...where]).ended
    expect({ code, warned: /^.*warning/m.test(stderr) }).toEqual({ code: 0, warned: false })
    const { body } = await dev.call<{ items: object[] }>('/v1/executions?workflow=nap')
    expect(body.items).toHaveLength(1)
  })
})

test('coordinator started again → `starting` until the nodes have reported, and the command waits', async () => {
  const codes = new Set<string>()
  process.kill(dev.pid('coordinator'), 'SIGKILL')
  const triggered = dev.resile('trigger', 'nap', '--datacenter', 'dc1')
  await until(
    'starts are admitted again',
    async () => {
      const answer = await dev.start('nap').catch(() => null)
      const { code } = (answer?.body ?? {}) as { code?: string }
      if (code !== undefined) codes.add(code)
      return answer !== null && answer.status < 300
    },
    { within: 60_000 },
  )
  expect([...codes].filter((code) => code === 'no_worker' || code === 'workflow_not_registered')).toEqual([])
  // One that was cut off gets no answer; one that came later has waited.
  const { code, stderr } = await triggered
  expect([0, 4], stderr).toContain(code)
})
