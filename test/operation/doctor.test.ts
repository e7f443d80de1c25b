/** `resile doctor` against a real datacenter: healthy, and then with one fault at a time. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { beforeAll, describe, expect, test } from 'vitest'
import { testAuthority } from '../support/certificates.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, writeProject } from '../support/files.ts'
import { listen } from '../support/http-server.ts'
import { resile } from '../support/processes.ts'
import { TemporalServer } from '../support/temporal-server.ts'
import { until } from '../support/until.ts'

interface Checked {
  name: string
  status: 'ok' | 'warn' | 'fail'
  detail: string
  hint: string | null
}

const worker = (commands = '') => `
  node = "web-1"
  datacenter = "dc1"
  types = ["web"]
  ${commands}`
const project = writeProject({
  'worker.hcl': worker('command "look" {\n argv = ["/bin/ls"]\n read_only = true\n}'),
  ...commanding('command', 'task_queue_target = "node"'),
})

let temporal: TemporalServer
let dev: Dev
beforeAll(async () => {
  temporal = await TemporalServer.start()
  const flags = ['--tls', '--temporal-address', temporal.address, '--temporal-http', temporal.httpUrl]
  dev = await startDev({ project, flags })
  await until('the worker polls', async () => (await doctor()).code === 0, { within: 60_000 })
})

/** The doctor's findings and its exit code. */
async function doctor(...args: string[]): Promise<{ code: number | null; found: Checked[] }> {
  const { code, stdout } = await dev.resile('doctor', '--json', ...args)
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Checked[] }
  expect(ok).toBe(code === 0)
  return { code, found: checks }
}

/** The names of those checks that failed. */
async function failures(...args: string[]): Promise<string[]> {
  const { code, found } = await doctor(...args)
  const names = found.filter(({ status }) => status === 'fail').map(({ name }) => name)
  expect(code).toBe(names.length === 0 ? 0 : 1)
  return names
}

/** The arguments with which the coordinator is called by HTTPS. */
function tls(own: Partial<Record<'ca' | 'cert' | 'key', string>> = {}): string[] {
  const certs = join(dev.data, 'certs')
  const files = { ca: join(certs, 'ca.pem'), cert: join(certs, 'clients/operator.pem'), ...own }
  const key = own.key ?? join(certs, 'clients/operator-key.pem')
  return ['--coordinator', dev.coordinator, '--ca', files.ca, '--cert', files.cert, '--key', key]
}

describe('doctor, all well', () => {
  test('run → every check ok', async () => {
    const { code, found } = await doctor()
    expect(code).toBe(0)
    const host = ['runtime', 'config', 'data', 'commands', 'certificates']
    const coordinator = ['coordinator', 'clock', 'permits', 'heartbeat']
    const all = [...host, ...coordinator, 'temporal', 'queues', 'workflows']
    expect(found.map(({ name, status }) => `${name} ${status}`)).toEqual(all.map((name) => `${name} ok`))
    const { code: again, stdout } = await dev.resile('doctor')
    expect(again).toBe(0)
    expect(stdout).toMatch(/^queues +ok +.*dc1:node:web-1 is polled by this node/m)
  })

  test('without flags → calls the coordinator as the worker would', async () => {
    expect(await failures(...tls())).toEqual([])
  })
})

describe('doctor, one thing wrong', () => {
  test('command without its program, or mistake in the project → host checks fail', async () => {
    const broken = worker('command "gone" { argv = ["/nowhere/at-all"] }')
    const other = writeProject({ 'worker.hcl': broken })
    const { code, stdout } = await resile(['doctor', '--project', other, '--data', dev.data])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^commands +fail +gone: there is no program \/nowhere\/at-all to run/m)
    writeFileSync(join(other, 'worker.hcl'), 'nod = "web-1"')
    const wrong = await resile(['doctor', '--project', other, '--data', dev.data])
    expect(wrong.code).toBe(1)
    expect(wrong.stdout).toMatch(/^config +fail +2 errors, the first: worker.hcl:1:1/m)
    expect(wrong.stdout).toMatch(/^queues +warn +not checked/m)
  })

  test('node that does not run → its checks fail', async () => {
    const { found } = await doctor('--node', 'web-2')
    expect(await failures('--node', 'web-2')).toEqual(['heartbeat', 'queues'])
    expect(found.find(({ name }) => name === 'queues')?.detail).toBe('no worker polls dc1:node:web-2')
  })

  test('detector for a node that is nowhere → warned of, by its name', async () => {
    const detected = (node: string) => `
      detector "${node}" {
        workflow = "command"
        target   { node = "${node}" }
        schedule { cron = "0 3 * * *" }
      }`
    const other = writeProject({
      'worker.hcl': worker(),
      'detectors.hcl': detected('web-1') + detected('web-9'),
      ...commanding('command', 'task_queue_target = "node"'),
    })
    const { stdout } = await resile(['doctor', '--project', other, '--data', dev.data, '--json'])
    const { checks } = JSON.parse(stdout) as { checks: Checked[] }
    expect(checks).toContainEqual({
      name: 'detectors',
      status: 'warn',
      detail: 'web-9 is for web-9, which sends no heartbeat',
      hint: 'start its worker, or correct the name',
    })
  })

  test('clock of Temporal a minute off → clock check fails', async () => {
    const port = await listen((_, response) => {
      response.writeHead(200, { date: new Date(Date.now() - 60_000).toUTCString() }).end('{}')
    })
    const { found } = await doctor('--coordinator', `http://127.0.0.1:${port}`)
    expect(found.find(({ name }) => name === 'clock')).toMatchObject({
      status: 'fail',
      detail: expect.stringMatching(/^[5-8]\d\.\d s ahead of the coordinator$/),
    })
  })

  test('wrong key, untrusted authority on either side → certificate checks fail', async () => {
    const authority = await testAuthority()
    const { certPem, keyPem } = await authority.issue({ uris: ['spiffe://example.org/worker/web-1'] })
    const directory = temporaryDirectory()
    const file = (name: string, text: string) => {
      writeFileSync(join(directory, name), text)
      return join(directory, name)
    }
    const [cert, key] = [file('cert.pem', certPem), file('key.pem', keyPem)]
    const ca = file('ca.pem', authority.caPem)
    const ofCoordinator = ['coordinator', 'permits', 'heartbeat']
    expect(await failures(...tls({ key }))).toEqual(['certificates', ...ofCoordinator])
    expect(await failures(...tls({ cert, key }))).toEqual(ofCoordinator)
    const { found } = await doctor(...tls({ ca }))
    const coordinator = found.find(({ name }) => name === 'coordinator')
    expect(coordinator).toMatchObject({ status: 'fail', hint: expect.stringContaining('ca_file') })
  })

  test('coordinator hangs → said in time', async () => {
    const pid = dev.pid('coordinator')
    kill(pid, 'SIGSTOP')
    try {
      expect(await failures()).toEqual(['coordinator', 'permits', 'heartbeat'])
    } finally {
      kill(pid, 'SIGCONT')
    }
    await until('all is well again', async () => (await doctor()).code === 0, { within: 60_000 })
  })

  test('wrong namespace, or no Temporal → Temporal checks fail', async () => {
    expect(await failures('--namespace', 'elsewhere')).toEqual(['temporal', 'queues', 'workflows'])
    await temporal.kill()
    expect(await failures()).toEqual(['temporal', 'queues', 'workflows'])
    await temporal.startAgain()
    await until('all is well again', async () => (await doctor()).code === 0, { within: 60_000 })
  })
})

test('doctor: no node in the command line → usage error', async () => {
  const other = writeProject({})
  const { code, stderr } = await resile(['doctor', '--project', other])
  expect(code).toBe(2)
  expect(stderr).toContain('no node is named')
})
