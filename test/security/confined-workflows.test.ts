/** Workflow code that leaves Temporal's sandbox: what it can do on a worker that takes workflow tasks alone. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { dataDirectory } from '../support/data.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { type Running, resile, startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const directory = temporaryDirectory()
const secret = join(directory, 'secret')
const written = join(directory, 'written')
const started = join(directory, 'started')

/** Tries each thing, and returns as what it failed, or that it worked. */
const code = `export async function escape() {
  const process = TextEncoder['construc' + 'tor']('return process')()
  const attempts = {
    read: () => process.getBuiltinModule('node:fs').readFileSync('${secret}'),
    environ: () => process.getBuiltinModule('node:fs').readFileSync('/proc/self/environ'),
    write: () => process.getBuiltinModule('node:fs').writeFileSync('${written}', 'x'),
    start: () => process.getBuiltinModule('node:child_process').execFileSync('/bin/touch', ['${started}']),
  }
  const results = Object.entries(attempts).map(([name, attempt]) => {
    try {
      attempt()
      return [name, 'worked']
    } catch (error) {
      return [name, error.code]
    }
  })
  return Object.fromEntries(results)
}`

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "look" {
      argv      = ["/bin/ls"]
      read_only = true
    }`,
  ...workflow('escape', 'task_queue_target = "datacenter"', code),
  ...commanding('command', 'task_queue_target = "node"'),
})

let dev: Dev
beforeAll(async () => {
  writeFileSync(secret, 'secret', { mode: 0o600 })
  dev = await startDev({ project, flags: ['--no-workers'] })
})

/** Starts a worker and waits until the coordinator knows it. */
async function served(node: string, ...flags: string[]): Promise<Running> {
  const where = ['--project', project, '--data', dataDirectory(), '--node', node]
  const coordinator = ['--coordinator', `unix:${dev.file.socket}`]
  const temporal = ['--temporal-address', dev.at('temporal'), '--namespace', dev.at('namespace')]
  const worker = startResile(['worker', ...where, ...coordinator, ...temporal, ...flags])
  atEnd(async () => {
    worker.kill('SIGTERM')
    await worker.ended
  })
  const isServed = async () => (await dev.call(`/v1/nodes/${node}`)).status === 200
  await until(`${node} serves its queues`, isServed, { within: 60_000 })
  return worker
}

const toDatacenter = { target: { datacenter: 'dc1' } }

describe('workflow code that leaves the sandbox', () => {
  test('worker that also runs activities → it can do what the worker can', async () => {
    const worker = await served('both-1', '--workflows')
    const { result } = await dev.ran('escape', toDatacenter)
    expect(result).toEqual({ read: 'worked', environ: 'worked', write: 'worked', start: 'worked' })
    expect([written, started].map(existsSync)).toEqual([true, true])
    worker.kill('SIGTERM')
    await worker.ended
  })

  test('--no-activities → no reading beyond the program, no writing, no processes', async () => {
    await served('workflows-1', '--workflows', '--no-activities')
    const { result } = await dev.ran('escape', toDatacenter)
    const denied = 'ERR_ACCESS_DENIED'
    expect(result).toEqual({ read: denied, environ: denied, write: denied, start: denied })
  })

  test('--no-activities → commands run on the hosts as before', async () => {
    await served('web-1')
    const { result } = await dev.ran('command', { target: { node: 'web-1' }, input: { name: 'look' } })
    expect(result).toMatchObject({ exitCode: 0 })
    const { stdout } = await dev.resile('nodes')
    expect(stdout).toMatch(/workflows-1/)
  })
})

test('--no-activities without --workflows → usage error', async () => {
  const { code, stderr } = await resile(['worker', '--project', project, '--no-activities', '--coordinator', 'unix:/x'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'resile: --no-activities leaves nothing to do without --workflows\n',
  })
})
