/** The library's workflows as an operator uses them: their own HCL files, a host's worker.hcl, real files and processes. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { strFromU8, unzipSync } from 'fflate'
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { repository, temporaryDirectory, writeProject } from '../support/files.ts'
import { listen } from '../support/http-server.ts'

const scratch = temporaryDirectory()
const systemctlLog = join(scratch, 'systemctl.log')
let sick = true
let url: string
let dev: Dev

beforeAll(async () => {
  const port = await listen((_, response) => void response.writeHead(sick ? 503 : 200).end())
  url = `http://127.0.0.1:${port}/`
  const origin = makeOrigin()
  // A test double that records its arguments.
  writeFileSync(join(scratch, 'systemctl'), `#!/bin/sh\necho "$@" >> ${systemctlLog}\n`)
  chmodSync(join(scratch, 'systemctl'), 0o755)
  process.env['PATH'] = `${scratch}:${process.env['PATH'] ?? ''}`
  mkdirSync(join(scratch, 'logs'))
  writeFileSync(join(scratch, 'app.log'), 'started\npassword=hunter2\n')
  const project = writeProject({
    'worker.hcl': `
      node = "web-1"
      datacenter = "dc1"
      systemd { units = ["nginx.service"] }
      free_disk "logs" {
        paths = ["${scratch}/logs"]
        pattern = ".*\\\\.old"
        older_than = "1h"
      }
      diagnostics {
        commands = ["uname"]
        files = ["${scratch}/app.log"]
      }
      command "uname" {
        argv = ["uname", "-a"]
        read_only = true
      }
      command "unit" { argv = ["sh", "-c", "echo testing; grep -q good result"] }
      repository "shop" {
        url = "${origin}"
        tests = ["unit"]
      }`,
    ...Object.fromEntries(
      ['restart-service', 'free-disk', 'collect-diagnostics', 'test-pull-request'].map((name) => [
        `workflows/${name}.hcl`,
        readFileSync(join(repository, 'workflows', `${name}.hcl`), 'utf8'),
      ]),
    ),
  })
  dev = await startDev({ project, nodes: ['web-1'] })
})

/** A repository with a good and a bad pull request. */
function makeOrigin(): string {
  const origin = join(scratch, 'origin')
  mkdirSync(origin)
  const git = (...args: string[]): void => {
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], { cwd: origin })
  }
  git('init', '--quiet')
  for (const [number, content] of ['good', 'bad'].entries()) {
    writeFileSync(join(origin, 'result'), `${content}\n`)
    git('add', '.')
    git('commit', '--quiet', '-m', content)
    git('update-ref', `refs/pull/${number + 1}/head`, 'HEAD')
  }
  return origin
}

const target = { node: 'web-1' }

test('restart-service: sick systemd unit → reload, restart, then stop-kill-start until it helps', async () => {
  const input = { command: 'systemd', params: { unit: 'nginx.service' }, check: { url }, verify_for: '1s' }
  const { execution } = await dev.started('restart-service', { target, input })
  // Only the last command helps.
  const healing = setInterval(() => {
    sick = !(existsSync(systemctlLog) && /^start /m.test(readFileSync(systemctlLog, 'utf8')))
  }, 20)
  const { result } = await dev.reaches(execution.id, 'completed', { within: 60_000 })
  clearInterval(healing)
  expect(readFileSync(systemctlLog, 'utf8').trim().split('\n')).toEqual([
    'reload -- nginx.service',
    'reset-failed -- nginx.service',
    'restart -- nginx.service',
    'stop -- nginx.service',
    'kill --signal=SIGKILL -- nginx.service',
    'reset-failed -- nginx.service',
    'start -- nginx.service',
  ])
  expect(result).toMatchObject({ attempts: [{ healthy: false }, { healthy: false }, { healthy: true }] })
})

test('restart-service: another unit → refused', async () => {
  const input = { command: 'systemd', params: { unit: 'sshd.service' }, check: { url } }
  const { error } = await dev.ran('restart-service', { target, input }, 'failed')
  expect(JSON.stringify(error)).toContain('InvalidParams')
})

test('free-disk: dry run, then run → nothing removed, then what its rule covers', async () => {
  const old = new Date(Date.now() - 7_200_000)
  for (const name of ['a.old', 'b.old', 'c.log']) {
    writeFileSync(join(scratch, 'logs', name), 'x'.repeat(10_000))
    utimesSync(join(scratch, 'logs', name), old, old)
  }
  const dry = await dev.ran('free-disk', { target, input: { rule: 'logs', dry_run: true } })
  expect(dry.result).toMatchObject({ dry_run: true, files: 2 })
  expect(readdirSync(join(scratch, 'logs'))).toHaveLength(3)
  const { result } = await dev.ran('free-disk', { target, input: { rule: 'logs' } })
  expect(result).toMatchObject({ files: 2, errors: [], removed: [{ path: join(scratch, 'logs/a.old') }, {}] })
  expect(readdirSync(join(scratch, 'logs'))).toEqual(['c.log'])
})

test('collect-diagnostics: run → redacted bundle on the host, with its checksum', async () => {
  const { result } = await dev.ran('collect-diagnostics', { target })
  const { bundle } = result as { bundle: { path: string; sha256: string } }
  const bytes = readFileSync(bundle.path)
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(bundle.sha256)
  const files = unzipSync(bytes)
  expect(strFromU8(files[`files${scratch}/app.log`] ?? new Uint8Array())).toBe('started\npassword=[redacted]\n')
  expect(strFromU8(files['commands/uname.txt'] ?? new Uint8Array())).toContain('Linux')
})

test('test-pull-request: good and bad one → passed and failed with the log, nothing left behind', async () => {
  const input = { repository: 'shop', revision: 'refs/pull/1/head', test: 'unit' }
  const { result } = await dev.ran('test-pull-request', { target, input })
  expect(result).toMatchObject({ passed: true, test: { stdout: 'testing\n' } })
  const bad = { ...input, revision: 'refs/pull/2/head' }
  const { error } = await dev.ran('test-pull-request', { target, input: bad }, 'failed')
  expect(error).toMatchObject({ type: 'TestsFailed', details: [{ passed: false, test: { exitCode: 1 } }] })
  expect(readdirSync(join(dev.data, 'workers/dc1/web-1/checkouts'))).toEqual([])
})

test('library: command that the host does not allow → refused', async () => {
  for (const [workflow, input, type] of [
    ['free-disk', { rule: 'everything' }, 'RuleNotAllowed'],
    ['test-pull-request', { repository: 'other', revision: 'refs/pull/1/head', test: 'unit' }, 'RepositoryNotAllowed'],
    ['test-pull-request', { repository: 'shop', revision: 'main', test: 'unit' }, 'RevisionNotAllowed'],
  ] as const) {
    const { error } = await dev.ran(workflow, { target, input }, 'failed')
    expect(JSON.stringify(error)).toContain(type)
  }
})
