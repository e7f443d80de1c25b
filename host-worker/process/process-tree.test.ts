import { readdirSync, readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { readStat } from './process-identity.ts'
import { type ProcessOrder, runProcess } from './run-process.ts'
import { runScript, until } from './test-support.ts'

/** How a command's child escapes: what a shell runs, with a program that sleeps and is found by its argument. */
const ESCAPES: [string, (sleeper: string) => string][] = [
  ['in its group', (sleeper) => `${sleeper} & wait`],
  ['by timeout(1), which leads its own group', (sleeper) => `timeout 600 ${sleeper}; echo x`],
  ['by setsid', (sleeper) => `setsid ${sleeper} & wait`],
  ['by setsid, its parent gone', (sleeper) => `(setsid ${sleeper} &); sleep 600`],
  ['by setsid, with an empty environment', (sleeper) => `env -i setsid ${sleeper} & wait`],
  [
    'by setsid twice, with an empty environment, its parents gone',
    (sleeper) => `(env -i setsid /bin/sh -c '(/usr/bin/setsid ${sleeper} &)' &); sleep 600`,
  ],
  ['ignoring SIGTERM', (sleeper) => `setsid /bin/sh -c 'trap "" TERM; ${sleeper}' & wait`],
]

/** A sleep that no other process has, and whether it runs. */
function sleeper(): { command: string; pids: () => number[] } {
  const seconds = `600.${Math.floor(Math.random() * 1e9)}`
  const pids = (): number[] => pidsOf(`sleep\0${seconds}\0`)
  onTestFinished(() => {
    for (const pid of pids()) process.kill(pid, 'SIGKILL')
  })
  return { command: `/bin/sleep ${seconds}`, pids }
}

function pidsOf(commandLine: string): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.filter((pid) => {
    try {
      return readStat(pid) !== undefined && readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith(commandLine)
    } catch {
      return false
    }
  })
}

function order(script: string): ProcessOrder {
  return {
    argv: ['/bin/sh', '-c', script],
    directory: '/',
    env: { PATH: '/usr/bin:/bin' },
    outputCap: 1000,
    killGrace: 500,
    signal: new AbortController().signal,
  }
}

test.each(ESCAPES)('command that is cut off: child %s → ended too', async (_, script) => {
  const { command, pids } = sleeper()
  const cut = new AbortController()
  const ended = runProcess({ ...order(script(command)), signal: cut.signal })
  await until(() => pids().length > 0)
  cut.abort()
  expect(await ended).toMatchObject({ killed: true, survivors: [] })
  expect(pids()).toEqual([])
})

test('command that ends by itself: service it started → left', async () => {
  const { command, pids } = sleeper()
  expect(await runProcess(order(`setsid ${command} > /dev/null 2>&1 &`))).toMatchObject({ killed: false })
  await until(() => pids().length > 0)
})

test('command that may leave nothing: child that escaped → ended with it', async () => {
  const { command, pids } = sleeper()
  const started = `setsid ${command} > /dev/null 2>&1 & while ! pgrep -f '${command.slice(5)}' > /dev/null; do :; done`
  await runProcess({ ...order(started), leavesNothing: true })
  expect(pids()).toEqual([])
})

test('process that runs commands is killed → what they started is ended', async () => {
  const { command, pids } = sleeper()
  const script = `
    import { runProcess } from './run-process.ts'
    const order = ${JSON.stringify(order(`(setsid ${command} &); sleep 600`))}
    void runProcess({ ...order, signal: new AbortController().signal })`
  const { child } = runScript(script)
  await until(() => pids().length > 0)
  child.kill('SIGKILL')
  await until(() => pids().length === 0)
})
