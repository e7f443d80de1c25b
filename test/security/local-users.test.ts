/** Attacks by another user of the same machine, through files and sockets. */
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { geteuid } from 'node:process'
import { describe, expect, test } from 'vitest'
import { socketPath } from '../../host-worker/coordinator/socket-path.ts'
import { atEnd } from '../support/cleanup.ts'
import { coordinatorHcl } from '../support/coordinator.ts'
import { napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { freePort } from '../support/ports.ts'
import { resile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const isRoot = geteuid?.() === 0
/** The other user. @see passwd(5): `nobody` */
const OTHER = 65_534

const rules = coordinatorHcl(
  'route_rule {\n name = "all"\n method = "*"\n route_patterns = ["/*"]\n allow_public = true\n}',
)
const project = writeProject({
  'coordinator.hcl': rules,
  'worker.hcl': 'node = "web-1"\ndatacenter = "dc1"\n',
  'detectors.hcl':
    'detector "port" {\n workflow = "nap"\n interval = "5s"\n tcp_check { address = "127.0.0.1:1" }\n}\n',
  ...napping('nap', 'task_queue_target = "datacenter"'),
})
/** A data directory with this mode; its parents are in order. */
function data(mode: number): string {
  const directory = join(temporaryDirectory(), 'data')
  mkdirSync(directory)
  chmodSync(directory, mode)
  return directory
}

describe('data directory that others can write to', () => {
  test.each([
    ['coordinator', ['--data'], 0o777],
    ['coordinator', ['--data'], 0o1777],
    ['worker', ['--coordinator', 'http://127.0.0.1:1', '--data'], 0o777],
    ['detector', ['--coordinator', 'http://127.0.0.1:1', '--data'], 0o777],
    ['dev', ['--data'], 0o777],
  ])('resile %s %j, mode %o → refused, nothing written', async (command, flags, mode) => {
    const directory = data(mode)
    const victim = join(temporaryDirectory(), 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(directory, 'lock.pid'))
    const { code, stderr } = await resile([command, '--project', project, ...flags, directory])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(`chmod o-w ${directory}`) })
    expect(stderr).not.toMatch(/^ +at /m)
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })

  test('a parent of it → refused as well', async () => {
    const parent = data(0o777)
    const { code, stderr } = await resile(['coordinator', '--project', project, '--data', join(parent, 'own')])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(`chmod o-w ${parent}`) })
  })

  test('link in the place of lock.pid → not followed', async () => {
    const directory = data(0o700)
    const victim = join(temporaryDirectory(), 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(directory, 'lock.pid'))
    const { code } = await resile(['coordinator', '--project', project, '--data', directory])
    expect(code).toBe(1)
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })
})

describe('keys that others can write to', () => {
  test.each([0o666, 0o620])('permit keys, mode %o → the coordinator does not start', async (mode) => {
    const directory = data(0o700)
    const keys = join(temporaryDirectory(), 'permit-keys.json')
    writeFileSync(keys, '{"keys":[]}')
    chmodSync(keys, mode)
    if (isRoot) chownSync(keys, 0, OTHER)
    const own = writeProject({
      'coordinator.hcl': `${rules}permits { key_file = "${keys}" }\n`,
      ...napping('nap', 'task_queue_target = "datacenter"'),
    })
    const args = ['coordinator', '--project', own, '--data', directory, '--listen', `127.0.0.1:${await freePort()}`]
    const { code, stderr } = await resile(args)
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/permit-keys\.json has mode 06\d\d, so that .* can write to it: chmod [go]-w/),
    })
  })
})

describe.runIf(isRoot)('socket in the shared temporary directory (run as root alone)', () => {
  test("directory of another user → the command refuses to talk to the impostor's socket", async () => {
    // So long that the socket's path does not fit into it.
    const directory = join(data(0o700), 'd'.repeat(100))
    mkdirSync(directory, { mode: 0o700 })
    const sockets = dirname(socketPath(directory))
    expect(sockets).toMatch(tmpdir())
    const impostor = spawn(
      process.execPath,
      [
        '--eval',
        `require('fs').mkdirSync(${JSON.stringify(sockets)}, { mode: 0o755 })
        require('http').createServer((_, answer) => {
          answer.writeHead(201, { 'content-type': 'application/json' }).end('{"id":"f","scope":{},"items":[]}')
        }).listen(${JSON.stringify(join(sockets, 'coordinator.sock'))}, () => console.log('listening'))`,
      ],
      { uid: OTHER, gid: OTHER, stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' },
    )
    atEnd(() => void impostor.kill('SIGKILL'))
    let isListening = false
    impostor.stdout.on('data', () => {
      isListening = true
    })
    await until('the impostor listens', () => Promise.resolve(isListening))
    const { code, stdout, stderr } = await resile([
      'freeze',
      '--reason',
      'x',
      '--project',
      project,
      '--data',
      directory,
    ])
    expect({ code, stdout, stderr }).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`${sockets} belongs to user ${OTHER}`),
    })
    // As somebody else's data directory may say it.
    const other = data(0o700)
    writeFileSync(join(other, 'dev.json'), JSON.stringify({ pid: 1, socket: join(sockets, 'coordinator.sock') }))
    const args = ['freeze', '--reason', 'x', '--project', project, '--data', other]
    expect(await resile(args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${sockets} belongs to user ${OTHER}`),
    })
    const started = await resile([
      'coordinator',
      '--project',
      project,
      '--data',
      directory,
      '--listen',
      `127.0.0.1:${await freePort()}`,
    ])
    expect(started).toMatchObject({ code: 1, stderr: expect.stringContaining(`${sockets} belongs to user ${OTHER}`) })
    expect(started.stderr).not.toMatch(/^ +at /m)
  })
})
