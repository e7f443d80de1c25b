/** Commands whose children leave their process group: they end with the command all the same. */
import { readdirSync, readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, writeProject } from '../support/files.ts'
import { onNode } from '../support/limits.ts'
import { until } from '../support/until.ts'

/** Arguments of sleep(1) that no other process has. */
const nap = (count: number): string => `60${count}.${process.pid}`
const escaping = (seconds: string) => `(/usr/bin/setsid /bin/sleep ${seconds} &) ; /bin/sleep 600`
const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "late" {
      argv      = ["/bin/sh", "-c", "${escaping(nap(1))}"]
      timeout   = "2s"
      workflows = ["run"]
    }
    command "cancelled" {
      argv      = ["/bin/sh", "-c", "${escaping(nap(2))}"]
      workflows = ["run"]
    }
    command "orphaned" {
      argv      = ["/bin/sh", "-c", "${escaping(nap(3))}"]
      workflows = ["run"]
    }`,
  ...commanding('run', onNode),
})
const target = { node: 'web-1' }

function sleeping(seconds: string): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `/bin/sleep\0${seconds}\0`
    } catch {
      return false
    }
  })
}

let dev: Dev
beforeAll(async () => {
  atEnd(() => {
    for (const pid of [1, 2, 3].flatMap((count) => sleeping(nap(count)))) process.kill(pid, 'SIGKILL')
  })
  dev = await startDev({ project, nodes: ['web-1'] })
})

/** Starts a command and waits until its child sleeps. */
async function started(name: string, seconds: string): Promise<string> {
  const { execution } = await dev.started('run', { target, input: { name } })
  await until('its child sleeps', () => sleeping(seconds).length > 0, { within: 30_000 })
  return execution.id
}

test('command with an escaped child: timeout → child ended', async () => {
  const id = await started('late', nap(1))
  expect((await dev.reaches(id, 'completed', { within: 60_000 })).result).toMatchObject({ type: 'CommandTimeout' })
  expect(sleeping(nap(1))).toEqual([])
})

test('command with an escaped child: cancelled → child ended', async () => {
  const id = await started('cancelled', nap(2))
  await dev.call(`/v1/executions/${id}/cancel`, { body: { reason: 'test' } })
  await until('its child has ended', () => sleeping(nap(2)).length === 0, { within: 30_000 })
})

test('command with an escaped child: worker killed → child ended', async () => {
  await started('orphaned', nap(3))
  process.kill(dev.pid('worker'), 'SIGKILL')
  await until('its child has ended', () => sleeping(nap(3)).length === 0, { within: 30_000 })
})
