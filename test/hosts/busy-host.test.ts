/** Several executions on one host, and what commands leave behind on it. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { cancel, onNode } from '../support/limits.ts'
import { until } from '../support/until.ts'

interface Steps {
  steps: { status: string; waiting_for: string | null; exit_code: number | null }[]
}

const directory = temporaryDirectory()
const pidFile = join(directory, 'daemon.pid')
const ticks = join(directory, 'ticks')
const running = join(directory, 'running')
/** Prints something again and again, as a service does that was told to log to its standard output. */
const daemon = `(while sleep 0.2; do echo tick; echo tick >>${ticks}; done) & echo $! >${pidFile}`

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "slow" {
      argv      = ["/bin/sleep", "20"]
      timeout   = "2m"
      workflows = ["patient"]
    }
    command "fails" {
      argv      = ["/bin/sh", "-c", "exit 28"]
      workflows = ["run"]
    }
    command "daemon" {
      argv      = ["/bin/sh", "-c", "${daemon}"]
      workflows = ["run"]
    }
    command "path" {
      argv      = ["/bin/sh", "-c", "echo $PATH"]
      read_only = true
    }
    command "long" {
      argv      = ["/bin/sh", "-c", "echo >>${running}; exec sleep 300"]
      timeout   = "10m"
      read_only = true
    }`,
  ...commanding('run', onNode),
  ...workflow(
    'crowd',
    onNode,
    `const { runCommand } = proxyActivities({ startToCloseTimeout: '20m', heartbeatTimeout: '15s' })
    export async function crowd() {
      await Promise.all(Array.from({ length: 100 }, () => runCommand({ name: 'long' })))
    }`,
  ),
  // An attempt waits for a tenth of its time.
  ...workflow(
    'patient',
    onNode,
    `const { runCommand } = proxyActivities({ startToCloseTimeout: '20m', heartbeatTimeout: '15s' })
    export async function patient(input) { return runCommand(input) }`,
  ),
})
const target = { node: 'web-1' }

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1'] })
})

const stepsOf = async (id: string): Promise<Steps['steps']> =>
  (await dev.call<Steps>(`/v1/executions/${id}/steps`)).body.steps

test('second execution on a busy host → waits for the first, and says so', async () => {
  const ids: string[] = []
  for (let count = 0; count < 2; count++) {
    ids.push((await dev.started('patient', { target, input: { name: 'slow' } })).execution.id)
  }
  // On a busy machine the host may take the second one first.
  const waiting = await until('one waits', async () => {
    const steps = await Promise.all(ids.map(async (id) => ({ id, step: (await stepsOf(id))[0] })))
    return steps.find(({ step }) => typeof step?.waiting_for === 'string')
  })
  const other = ids.find((id) => id !== waiting.id)
  expect(waiting.step?.waiting_for).toBe(`command slow of execution ${other} is in progress on web-1`)
  const { result } = await dev.reaches(waiting.id, 'completed', { within: 120_000 })
  expect(result).toMatchObject({ exitCode: 0 })
})

test('host on which 100 activities run → the next one waits, and says so, instead of host_unreachable', async () => {
  const crowd = await dev.started('crowd', { target })
  await until('all run', () => existsSync(running) && readFileSync(running).length === 100, { within: 60_000 })
  const next = await dev.started('patient', { target, input: { name: 'path' } })
  const waiting = await until('the next one waits', async () => {
    const steps = await stepsOf(next.execution.id)
    return steps.find(({ waiting_for }) => waiting_for !== null)
  })
  expect(waiting.waiting_for).toBe('100 other activities run on web-1')
  await cancel(dev, crowd.execution.id)
  const { result } = await dev.reaches(next.execution.id, 'completed', { within: 60_000 })
  expect(result).toMatchObject({ exitCode: 0 })
})

test('command with an exit code → shown with the step', async () => {
  const { id } = await dev.ran('run', { target, input: { name: 'fails' } })
  expect(await stepsOf(id ?? '')).toMatchObject([{ status: 'completed', exit_code: 28 }])
  const { stderr } = await dev.resile('executions', id ?? '', '--wait')
  expect(stderr).toMatch(/exited +runCommand fails: exit code 28/)
  const took = Number(/completed +run after ([\d.]+) s/.exec(stderr)?.[1])
  expect(took).toBeLessThan(20)
})

test('finished execution, waited for later → how long it took, not how long ago it began', async () => {
  const execution = await dev.ran('run', { target, input: { name: 'path' } })
  const took = Date.parse(execution.closed_at ?? '') - Date.parse(execution.admitted_at ?? '')
  await new Promise((resolve) => setTimeout(resolve, 3000))
  const { stderr } = await dev.resile('executions', execution.id ?? '', '--wait')
  expect(stderr).toContain(`completed  run after ${(took / 1000).toFixed(1)} s`)
})

test('daemon that a command leaves behind, worker killed → goes on', async () => {
  await dev.ran('run', { target, input: { name: 'daemon' } })
  const pid = Number(readFileSync(pidFile, 'utf8'))
  atEnd(() => void process.kill(pid, 'SIGKILL'))
  const worker = dev.pid('worker')
  process.kill(worker, 'SIGKILL')
  await until('another worker runs', () => dev.pid('worker') !== worker && existsSync(ticks), { within: 30_000 })
  const before = readFileSync(ticks, 'utf8').length
  await until('the daemon goes on', () => readFileSync(ticks, 'utf8').length > before + 50, { within: 30_000 })
})
