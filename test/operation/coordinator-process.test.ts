/** `resile coordinator` as a process: how it ends, what it survives, and with what it refuses to start. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectPlain, createServer } from 'node:net'
import { join } from 'node:path'
import { kill } from 'node:process'
import { beforeAll, describe, expect, test } from 'vitest'
import { type TestAuthority, testAuthority } from '../support/certificates.ts'
import { atEnd } from '../support/cleanup.ts'
import {
  below,
  type Client,
  type Coordinator,
  connected,
  coordinatorHcl,
  keepAlive,
  serverCertificate,
  serverFiles,
  startCoordinator,
  startCoordinatorProcess,
  tlsOf,
} from '../support/coordinator.ts'
import { napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { gone, isRunning, resile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const admin = 'spiffe://example.com/worker-admin'
const accessList = `
  route_rule {
    name = "all"
    method = "*"
    route_patterns = ["/*"]
    uris = ["${admin}"]
  }
  route_rule {
    name = "post"
    method = "POST"
    route_patterns = ["/*"]
    allow_public = true
  }`
const workflows = napping('nap', 'task_queue_target = "datacenter"')
const projectOf = (serverConfig: string) =>
  writeProject({ 'coordinator.hcl': coordinatorHcl(serverConfig), ...workflows })

let authority: TestAuthority
let asAdmin: Client
beforeAll(async () => {
  authority = await testAuthority()
  asAdmin = await authority.issue({ uris: [admin] })
})

describe('coordinator process', () => {
  let project: string
  let started: Coordinator | null = null
  beforeAll(async () => {
    const { hcl } = await serverFiles(authority)
    project = projectOf(`${hcl}\n${accessList}`)
  })
  /** The one that runs already, if there is one. */
  const aCoordinator = async (): Promise<Coordinator> => {
    if (started === null || !isRunning(started.process.pid)) started = await startCoordinator({ project })
    return started
  }
  const parentOf = (pid: number) => Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])
  const works = async (coordinator: Coordinator) =>
    expect((await coordinator.call('/v1/workflows', asAdmin)).status).toBe(200)

  test('workerd killed → next request is served', async () => {
    const coordinator = await aCoordinator()
    const { workerd } = coordinator
    kill(workerd, 'SIGKILL')
    await works(coordinator)
    await until('another workerd is noted', () => coordinator.workerd !== workerd)
    for (const socket of [coordinator.socket, join(coordinator.data, 'front.sock')]) {
      expect(statSync(socket).mode & 0o777).toBe(0o600)
    }
  })

  test('second one on the same data → refused, the first goes on', async () => {
    const coordinator = await aCoordinator()
    const { code, stderr } = await startCoordinatorProcess({ project, data: coordinator.data }).ended
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^resile: another coordinator runs here: .+ in use .*pid \d+.*\n$/),
    })
    await works(coordinator)
  })

  test('front killed → workerd ends too, the next start takes over', async () => {
    const coordinator = await aCoordinator()
    const { data, workerd } = coordinator
    await coordinator.call('/v1/workflows/nap/evaluate', null, { body: {} })
    const front = parentOf(workerd)
    kill(front, 'SIGKILL')
    await gone([front, workerd], 10_000)
    await coordinator.process.ended
    started = await startCoordinator({ project, data })
    await works(started)
    expect(started.workerd).not.toBe(workerd)
  })

  test.each(['SIGTERM', 'Ctrl-C'])('%s while clients are connected → all of it ends with exit code 0', async (how) => {
    const coordinator = await aCoordinator()
    await works(coordinator)
    const pids = below(coordinator.process.pid)
    expect(pids).toContain(coordinator.workerd)
    // A connection that sends nothing, one that has only shaken hands, and an idle one.
    const silent = connectPlain(coordinator.port, '127.0.0.1')
    atEnd(() => silent.destroy())
    silent.on('error', () => undefined)
    await connected(coordinator, tlsOf(asAdmin))
    await coordinator.call('/v1/workflows', asAdmin, {}, keepAlive())
    if (how === 'Ctrl-C') coordinator.process.interrupt()
    else coordinator.process.kill('SIGTERM')
    const within = new Promise<'too long'>((resolve) => setTimeout(resolve, 25_000, 'too long').unref())
    const ended = await Promise.race([coordinator.process.ended, within])
    expect(ended).toMatchObject({ code: 0, signal: null })
    await gone(pids, 10_000)
  })
})

describe.concurrent('coordinator that can not start', () => {
  const failed = async (project: string, listen?: string) => {
    const data = join(temporaryDirectory(), 'data')
    const running = startCoordinatorProcess({ project, data, ...(listen === undefined ? {} : { listen }) })
    const { code, stdout, stderr } = await running.ended
    expect(stdout).not.toContain('resile ready')
    expect(stderr).not.toMatch(/^\s+at |unexpected error/m)
    expect(isRunning(running.pid)).toBe(false)
    return { code, stderr }
  }
  const rule = 'route_rule {\nname = "all"\nmethod = "GET"\nroute_patterns = ["/*"]\nallow_public = true\n}'

  test.each<[string, string]>([
    ['no server_config', 'datacenter = "dc1"\n'],
    ['no rule in it', coordinatorHcl('enable_tls = false')],
  ])('%s → exit code 1, no route rules', async (_, hcl) => {
    const { code, stderr } = await failed(writeProject({ 'coordinator.hcl': hcl, ...workflows }))
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/no route rules/) })
  })

  test('certificates missing → names all of them', async () => {
    const project = projectOf(`enable_tls = true\ncert_file = "here.pem"\ncrl_file = "there.pem"\n${rule}`)
    const { code, stderr } = await failed(project)
    expect(code).toBe(1)
    for (const key of ['cert_file', 'key_file', 'client_ca_file', 'crl_file']) {
      expect(stderr).toContain(`server_config.${key}: there is no /`)
    }
    expect(stderr).toContain(join(project, 'here.pem'))
    expect(stderr).toContain('resile certs')
  })

  test.each<[string, 'cert' | 'key' | 'ca' | 'crl', () => Promise<string> | string]>([
    ['a key of another certificate', 'key', async () => (await serverCertificate(authority)).keyPem],
    ['a key that is none', 'key', () => 'no key\n'],
    ['no authority in the file of authorities', 'ca', () => '\n'],
    ['a list of what is revoked that is none', 'crl', () => '\n'],
  ])('%s → exit code 1, names the file', async (_, file, text) => {
    const files = await serverFiles(authority, { crl: true })
    writeFileSync(files[file], await text())
    const { code, stderr } = await failed(projectOf(`${files.hcl}\n${rule}`))
    expect(code).toBe(1)
    expect(stderr).toContain(files[file])
  })

  test('port taken → EADDRINUSE with the port', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    atEnd(() => taken.close())
    const address = taken.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const { code, stderr } = await failed(projectOf(rule), `127.0.0.1:${port}`)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(new RegExp(`EADDRINUSE.*:${port}`)) })
  })

  test.each(['127.0.0.1', '127.0.0.1:65536', ''])('--listen %j → usage error', async (listen) => {
    const { code, stderr } = await failed(projectOf(rule), listen)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/--listen must be HOST:PORT/) })
  })

  test.each(['--bogus', 'surplus', '--listen'])('argument %s → usage error', async (argument) => {
    const { code, stderr } = await resile(['coordinator', argument])
    expect(code).toBe(2)
    expect(stderr).not.toMatch(/^\s+at /m)
  })
})
