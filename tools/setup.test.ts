import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { linesOf, makeClone, until } from './test-clone.ts'

/** An npm that takes a moment (or until `hold` is gone), deletes node_modules first as the real one does, and notes each run. */
const fakeNpm = `#!/bin/sh
echo "begin $*" >> runs
rm -rf node_modules
mkdir node_modules
sleep 1
while [ -e hold ]; do sleep 0.1; done
if [ -e broken ]; then echo "npm error the registry is closed" >&2; exit 1; fi
echo "end" >> runs
`

function cloneWithNpm(): string {
  return makeClone({ 'package-lock.json': '{}', 'fake/npm': fakeNpm })
}

/** How many processes hold the lock of the set-up; 2 are the set-up and its npm. */
function lockOwners(clone: string): number {
  const owners: unknown = JSON.parse(readFileSync(join(clone, '.resile/setup/1'), 'utf8'))
  return Array.isArray(owners) ? owners.length : 0
}

interface SetUp {
  child: ChildProcess
  /** What it has written to stderr up to now. */
  said: () => string
  done: Promise<{ code: number | null; said: string }>
}

function setUp(clone: string): SetUp {
  const { npm_execpath: _, ...env } = process.env
  const child = spawn(process.execPath, [join(clone, 'tools/setup.mjs')], {
    env: { ...env, PATH: [join(clone, 'fake'), env['PATH']].join(delimiter) },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  return {
    child,
    said: () => said,
    done: new Promise((resolve) => child.once('close', (code) => resolve({ code, said }))),
  }
}

test('set-up: run again → silent, unless the lockfile changed', async () => {
  const clone = cloneWithNpm()
  const first = await setUp(clone).done
  expect(first).toMatchObject({ code: 0, said: expect.stringMatching(/installing the npm packages.*\n.*done in/) })
  expect(await setUp(clone).done).toEqual({ code: 0, said: '' })
  expect(linesOf(join(clone, 'runs'))).toHaveLength(2)

  writeFileSync(join(clone, 'package-lock.json'), '{"changed": true}')
  expect((await setUp(clone).done).said).toContain('installing')
  rmSync(join(clone, 'node_modules'), { recursive: true })
  expect((await setUp(clone).done).said).toContain('installing')
  expect(linesOf(join(clone, 'runs'))).toHaveLength(6)
})

test('set-up: npm fails → shown, next run tries again', async () => {
  const clone = cloneWithNpm()
  writeFileSync(join(clone, 'broken'), '')
  const failed = await setUp(clone).done
  expect(failed.code).toBe(1)
  expect(failed.said).toMatch(/npm error the registry is closed\nnpm ci in .* failed \(exit 1\)/)
  rmSync(join(clone, 'broken'))
  expect((await setUp(clone).done).code).toBe(0)
})

test('set-up: several at once → one installs', async () => {
  const clone = cloneWithNpm()
  const all = await Promise.all([1, 2, 3].map(() => setUp(clone).done))
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(linesOf(join(clone, 'runs'))).toHaveLength(2)
  expect(all.filter(({ said }) => said.includes('another set-up is at work'))).toHaveLength(2)
})

test('set-up: killed → next one waits for its npm, and repeats it', async () => {
  const clone = cloneWithNpm()
  const hold = join(clone, 'hold')
  writeFileSync(hold, '')
  onTestFinished(() => {
    rmSync(hold, { force: true })
  })
  const { child, done } = setUp(clone)
  await until(() => existsSync(join(clone, 'runs')) && lockOwners(clone) === 2)
  child.kill('SIGKILL')
  await done
  const next = setUp(clone)
  await until(() => next.said().includes('another set-up is at work'))
  rmSync(hold)
  expect(await next.done).toMatchObject({ code: 0 })
  expect(linesOf(join(clone, 'runs')).map((line) => line.split(' ')[0])).toEqual(['begin', 'end', 'begin', 'end'])
})

test('set-up: stale lock with a reused pid → ignored', async () => {
  const lock = JSON.stringify([{ pid: process.pid, started: 'long ago' }])
  const clone = makeClone({ 'package-lock.json': '{}', 'fake/npm': fakeNpm, '.resile/setup/7': lock })
  expect(await setUp(clone).done).toMatchObject({ code: 0, said: expect.not.stringContaining('another set-up') })
})
