import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { startGuardian } from './guardian.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'
import { idle, nodeArgs, runScript, runs, temporaryDirectory, until } from './test-support.ts'

/** Supervises a child that heeds SIGTERM and one that does not, and says which pids to look at. */
const supervising = (more: string, dataDirectory: string) => `
  import { startGuardian } from './guardian.ts'
  import { Supervisor } from './supervisor.ts'
  const guardian = await startGuardian()
  const supervisor = new Supervisor({ guardian, dataDirectory: ${JSON.stringify(dataDirectory)} })
  const ready = async () => { if (!up) throw new Error('not yet') }
  let up = false
  const child = (name, script, more) => supervisor.start({
    role: 'test', name, command: process.execPath, args: ['--eval', script], restart: true, ...more })
  await child('meek', ${JSON.stringify(idle)})
  await child('stubborn', 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)', {
    ready, onLine: () => { up = true } })
  console.log('guardian ' + guardian.pid)
  for (const { name, pid } of supervisor.processes()) console.log(name + ' ' + pid)
  console.log('ready')
  ${more}`

function pidsIn(lines: string[]): Record<'guardian' | 'meek' | 'stubborn', number> {
  const pid = (name: string) => Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1])
  return { guardian: pid('guardian'), meek: pid('meek'), stubborn: pid('stubborn') }
}

function startIdle(): ProcessIdentity {
  const child = spawn(process.execPath, nodeArgs(idle), { detached: true, stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const identity = identify(child.pid ?? 0)
  if (identity === undefined) throw new Error('the process did not start')
  return identity
}

test('guardian: supervisor killed → all children end within 10 s', async () => {
  const { child, lines } = runScript(supervising('', temporaryDirectory()))
  await until(() => lines.includes('ready'))
  const pids = Object.values(pidsIn(lines))
  expect(pids.map(runs)).toEqual([true, true, true])
  child.kill('SIGKILL')
  await expect.poll(() => pids.some(runs), { timeout: 10_000 }).toBe(false)
})

test('guardian: terminal signals → survives, still works', async () => {
  const { child, lines } = runScript(supervising('', temporaryDirectory()))
  await until(() => lines.includes('ready'))
  const { guardian, meek, stubborn } = pidsIn(lines)
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.kill(guardian, signal)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(runs(guardian)).toBe(true)
  child.kill('SIGKILL')
  await until(() => ![guardian, meek, stubborn].some(runs))
})

test('guardian: killed → replaced by one that knows the children', async () => {
  const guardian = await startGuardian()
  const watched = startIdle()
  guardian.watch(watched)
  const first = guardian.pid
  process.kill(first ?? 0, 'SIGKILL')
  await until(() => guardian.pid !== first && runs(guardian.pid ?? 0))
  await guardian.close()
  await until(() => !runs(watched.pid))
})

test('guardian: closed → forgotten children left alone', async () => {
  const guardian = await startGuardian()
  const [kept, forgotten] = [startIdle(), startIdle()]
  guardian.watch(kept)
  guardian.watch(forgotten)
  guardian.forget(forgotten)
  await guardian.close()
  expect(runs(guardian.pid ?? 0)).toBe(false)
  expect([runs(kept.pid), runs(forgotten.pid)]).toEqual([false, true])
})

test('guardian: running → keeps no process from ending', async () => {
  const { child, lines } = runScript(`
    import { startGuardian } from './guardian.ts'
    console.log('guardian ' + (await startGuardian()).pid)`)
  await until(() => child.exitCode === 0)
  await until(() => !runs(pidsIn(lines).guardian))
})
