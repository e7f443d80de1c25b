import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { endGroups, groupExists } from './process-group.ts'
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts'
import { idle, nodeArgs, runs, stubborn, until } from './test-support.ts'

function startGroup(script: string): { leader: ProcessIdentity; printed: () => string } {
  const child = spawn(process.execPath, nodeArgs(script), { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const leader = identify(child.pid ?? 0)
  if (leader === undefined) throw new Error('the process did not start')
  onTestFinished(async () => {
    await endGroups([leader], { graceMs: 0 })
  })
  return { leader, printed: () => text }
}

test('process identity: reused pid → another identity', () => {
  const self = identify(process.pid)
  expect(self).toBeDefined()
  if (self === undefined) return
  expect(isAlive(self)).toBe(true)
  expect(isAlive({ ...self, started: 'earlier' })).toBe(false)
})

test('process group: heeds SIGTERM → ends by it', async () => {
  const { leader } = startGroup(idle)
  await endGroups([leader], { graceMs: 30_000 })
  expect(runs(leader.pid)).toBe(false)
})

test('process group: ignores SIGTERM → killed after the grace', async () => {
  const { leader, printed } = startGroup(stubborn)
  await until(() => printed().includes('up'))
  await endGroups([leader], { graceMs: 100 })
  expect(runs(leader.pid)).toBe(false)
})

test('process group: survives its leader → ended too', async () => {
  const script = `
    import { spawn } from 'node:child_process'
    const child = spawn(process.execPath, ['--eval', ${JSON.stringify(idle)}], { stdio: 'ignore' })
    console.log('child ' + child.pid)
    child.unref()`
  const { leader, printed } = startGroup(script)
  await until(() => /child \d+/.test(printed()) && !runs(leader.pid))
  const grandchild = Number(/child (\d+)/.exec(printed())?.[1])
  expect(runs(grandchild)).toBe(true)
  expect(groupExists(leader)).toBe(true)
  await endGroups([leader], { graceMs: 5_000 })
  await until(() => !runs(grandchild))
  expect(groupExists(leader)).toBe(false)
})

test('process group: reused pid → left alone', async () => {
  const { leader } = startGroup(idle)
  await endGroups([{ ...leader, started: 'another one' }], { graceMs: 100 })
  expect(runs(leader.pid)).toBe(true)
})
