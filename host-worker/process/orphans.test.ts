import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endOrphans, recordChildren } from './orphans.ts'
import { identify } from './process-identity.ts'
import { idle, runScript, runs, temporaryDirectory, until } from './test-support.ts'

test('orphans: run and guardian killed → ended by the next run', async () => {
  const directory = temporaryDirectory()
  const { child, lines } = runScript(`
    import { Supervisor } from './supervisor.ts'
    const supervisor = new Supervisor({ dataDirectory: ${JSON.stringify(directory)} })
    await supervisor.start({
      role: 'test', name: 'a', command: process.execPath, args: ['--eval', ${JSON.stringify(idle)}], restart: false })
    console.log(supervisor.processes()[0].pid)`)
  await until(() => lines.length === 1)
  const pid = Number(lines[0])
  child.kill('SIGKILL')
  await until(() => child.signalCode !== null)
  expect(runs(pid)).toBe(true)
  expect(await endOrphans(directory)).toEqual([pid])
  expect(runs(pid)).toBe(false)
  expect(await endOrphans(directory)).toEqual([])
})

test('orphans: clean stop → none recorded', async () => {
  const directory = temporaryDirectory()
  const { child } = runScript(`
    import { Supervisor } from './supervisor.ts'
    const supervisor = new Supervisor({ dataDirectory: ${JSON.stringify(directory)} })
    await supervisor.start({
      role: 'test', name: 'a', command: process.execPath, args: ['--eval', ${JSON.stringify(idle)}], restart: false })
    await supervisor.stopAll()`)
  await until(() => child.exitCode === 0)
  expect(existsSync(join(directory, 'children.json'))).toBe(true)
  expect(await endOrphans(directory)).toEqual([])
})

test('orphans: reused pid → left alone', async () => {
  const directory = temporaryDirectory()
  const { child } = runScript(idle)
  const identity = identify(child.pid ?? 0)
  expect(identity).toBeDefined()
  recordChildren(directory, [{ pid: child.pid ?? 0, started: 'long ago' }])
  expect(await endOrphans(directory)).toEqual([])
  expect(runs(child.pid ?? 0)).toBe(true)
})

test('orphans: torn or foreign file → ignored', async () => {
  const directory = temporaryDirectory()
  for (const text of ['', '[{"pid": 12', '{"pid": 1}', '[{"pid": 1, "started": "x"}]']) {
    writeFileSync(join(directory, 'children.json'), text)
    expect(await endOrphans(directory)).toEqual([])
  }
})
