/** Test helpers of this folder: short scripts in real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { identify, readStat } from './process-identity.ts'
import type { ProcessOrder } from './run-process.ts'

/** A fresh directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'resile-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

/** A script in a separate process, killed after the test; `lines` fills with its output. */
export function runScript(script: string, env: NodeJS.ProcessEnv = {}): { child: ChildProcess; lines: string[] } {
  const child = spawn(process.execPath, nodeArgs(script), {
    cwd: import.meta.dirname,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines: string[] = []
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    lines.splice(0, lines.length, ...text.split('\n').slice(0, -1))
  })
  return { child, lines }
}

/** The arguments with which Node runs a script given as text; it may import the modules of this folder. */
export function nodeArgs(script: string): string[] {
  return ['--input-type=module', '--eval', script]
}

/** Waits, patiently, until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 30_000, interval: 50 }).toBe(true)
}

/** Whether any process with this pid runs. */
export function runs(pid: number): boolean {
  return identify(pid) !== undefined
}

/** Runs until it is killed. */
export const idle = 'setInterval(() => {}, 1000)'

/** Runs until it is killed, and does not heed being asked. */
export const stubborn = `process.on('SIGTERM', () => {}); ${idle}; console.log('up')`

/** How a command's child escapes: what a shell runs, with a program that sleeps and is found by its argument. */
export const ESCAPES: [string, (sleeper: string) => string][] = [
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
export function sleeper(): { command: string; pids: () => number[] } {
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

/** The order of a shell's script. */
export function order(script: string): ProcessOrder {
  return {
    argv: ['/bin/sh', '-c', script],
    directory: '/',
    env: { PATH: '/usr/bin:/bin' },
    outputCap: 1000,
    killGrace: 500,
    signal: new AbortController().signal,
  }
}
