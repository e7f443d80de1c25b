import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type ChildChange, type ChildSpec, Supervisor } from './supervisor.ts'
import { idle, nodeArgs, runScript, runs, stubborn, temporaryDirectory, until } from './test-support.ts'

function supervise(options: ConstructorParameters<typeof Supervisor>[0] = {}) {
  const supervisor = new Supervisor(options)
  const changes: ChildChange[] = []
  supervisor.on('change', (change) => changes.push(change))
  onTestFinished(() => supervisor.stopAll())
  return { supervisor, changes, kinds: () => changes.map(({ kind }) => kind) }
}

function child(name: string, script: string, more: Partial<ChildSpec> = {}): ChildSpec {
  return { role: 'test', name, command: process.execPath, args: nodeArgs(script), restart: false, ...more }
}

function pidOf(supervisor: Supervisor, name: string): number {
  const found = supervisor.processes().find((process) => process.name === name)
  if (found === undefined) throw new Error(`${name} does not run`)
  return found.pid
}

test('supervisor: child → started, listed, logged, stopped', async () => {
  const { supervisor, kinds } = supervise()
  const heard: string[] = []
  const logFile = join(temporaryDirectory(), 'logs/a.log')
  const script = `console.log('one\\ntwo'); console.error('three'); ${idle}`
  await supervisor.start(child('a', script, { logFile, onLine: (line, stream) => heard.push(`${stream} ${line}`) }))
  expect(supervisor.processes()).toEqual([{ role: 'test', name: 'a', pid: expect.any(Number) }])
  const pid = pidOf(supervisor, 'a')
  await until(() => heard.length === 3)
  await supervisor.stopAll()
  expect(runs(pid)).toBe(false)
  expect(supervisor.processes()).toEqual([])
  expect([...heard].sort()).toEqual(['stderr three', 'stdout one', 'stdout two'])
  expect(readFileSync(logFile, 'utf8').trim().split('\n').sort()).toEqual(['one', 'three', 'two'])
  expect(kinds()).toEqual(['started', 'ready', 'ended'])
})

test('supervisor: child not ready yet → waits', async () => {
  const { supervisor } = supervise()
  const file = join(temporaryDirectory(), 'ready')
  const script = `import { writeFileSync } from 'node:fs'
    setTimeout(() => writeFileSync(${JSON.stringify(file)}, ''), 500); ${idle}`
  const ready = async () => {
    if (!existsSync(file)) throw new Error('not yet')
  }
  await supervisor.start(child('slow', script, { ready }))
  expect(existsSync(file)).toBe(true)
})

test('supervisor: child ends before ready → reported with its last lines, not restarted', async () => {
  const { supervisor } = supervise()
  const spec = child('broken', `console.error('the disk is on fire'); process.exit(3)`, {
    restart: true,
    ready: () => new Promise(() => {}),
  })
  await expect(supervisor.start(spec)).rejects.toThrow(/test broken .*exit code 3.*\n\s+the disk is on fire/)
  expect(supervisor.processes()).toEqual([])
})

test('supervisor: child not ready in time → stopped and reported', async () => {
  const { supervisor } = supervise()
  const ready = () => Promise.reject(new Error('no'))
  const spec = child('mute', `console.log('still thinking'); ${idle}`, { ready, readyTimeoutMs: 1_500 })
  await expect(supervisor.start(spec)).rejects.toThrow(/not ready within 1.5 s.*\n\s+still thinking/)
  expect(supervisor.processes()).toEqual([])
})

test('supervisor: command missing → reported', async () => {
  const { supervisor } = supervise()
  const spec: ChildSpec = { role: 'test', name: 'none', command: '/nowhere/at-all', restart: true }
  await expect(supervisor.start(spec)).rejects.toThrow(/none ended before it was ready: .*ENOENT/)
})

test('supervisor: child dies → restarted with growing delay', async () => {
  const { supervisor, changes } = supervise()
  await supervisor.start(child('phoenix', idle, { restart: true }))
  for (const starts of [2, 3]) {
    process.kill(pidOf(supervisor, 'phoenix'), 'SIGKILL')
    await until(() => supervisor.startsCount('phoenix') === starts && supervisor.processes().length === 1)
  }
  expect(changes.flatMap((change) => (change.kind === 'restarting' ? [change.delayMs] : []))).toEqual([200, 400])
  const ended = changes.filter((change) => change.kind === 'ended')
  expect(ended).toMatchObject([
    { reason: 'signal SIGKILL', expected: false },
    { reason: 'signal SIGKILL', expected: false },
  ])
})

test('supervisor: child without restart dies → not restarted', async () => {
  const { supervisor, kinds } = supervise()
  await supervisor.start(child('mortal', idle))
  process.kill(pidOf(supervisor, 'mortal'), 'SIGKILL')
  await until(() => kinds().includes('ended'))
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(supervisor.startsCount('mortal')).toBe(1)
  expect(supervisor.processes()).toEqual([])
})

test('supervisor: child dies, its group lives → ended before the restart', async () => {
  const { supervisor } = supervise()
  const pids: number[] = []
  const script = `import { spawn } from 'node:child_process'
    const { pid } = spawn(process.execPath, ['--eval', ${JSON.stringify(idle)}], { stdio: 'ignore' })
    console.log(pid); ${idle}`
  await supervisor.start(child('parent', script, { restart: true, onLine: (line) => pids.push(Number(line)) }))
  await until(() => pids.length === 1)
  process.kill(pidOf(supervisor, 'parent'), 'SIGKILL')
  await until(() => pids.length === 2)
  expect(pids.map(runs)).toEqual([false, true])
  await supervisor.stopAll()
  await until(() => !pids.some(runs))
})

test('supervisor: stop → reverse order, stubborn ones killed', async () => {
  const { supervisor, changes } = supervise()
  await supervisor.start(child('first', idle))
  let up = false
  const onLine = () => {
    up = true
  }
  await supervisor.start(child('second', stubborn, { stopGraceMs: 300, onLine }))
  await supervisor.start(child('third', idle))
  await until(() => up)
  await supervisor.stopAll()
  expect(changes.flatMap((change) => (change.kind === 'ended' ? [`${change.name} ${change.reason}`] : []))).toEqual([
    'third signal SIGTERM',
    'second signal SIGKILL',
    'first signal SIGTERM',
  ])
  await expect(supervisor.start(child('late', idle))).rejects.toThrow(/being stopped/)
})

test('supervisor: two children with one name → refused', async () => {
  const { supervisor } = supervise()
  await supervisor.start(child('twin', idle))
  await expect(supervisor.start(child('twin', idle))).rejects.toThrow(/already/)
})

test('supervisor: Ctrl-C to its group → does not reach the children', async () => {
  const { child: supervising, lines } = runScript(`
    import { Supervisor } from './supervisor.ts'
    const supervisor = new Supervisor()
    process.on('SIGINT', async () => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      console.log('alive ' + supervisor.processes().length)
      await supervisor.stopAll()
    })
    const script = 'process.on("SIGINT", () => process.exit(9)); setInterval(() => {}, 1000)'
    await supervisor.start({ role: 'test', name: 'a', command: process.execPath, args: ['--eval', script], restart: false })
    console.log('up')
    setTimeout(() => {}, 60_000).unref()`)
  await until(() => lines.includes('up'))
  supervising.kill('SIGINT')
  await until(() => lines.includes('alive 1') && supervising.exitCode === 0)
})
