import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from './cleanup.ts'
import { repository } from './files.ts'
import { until } from './until.ts'

/** How a process ended, and what it said. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A process that is killed, at the latest, at the end of the test file. */
export interface Running {
  readonly pid: number
  /** What it has said so far. */
  readonly said: { stdout: string; stderr: string }
  readonly ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** Ctrl-C in its terminal: SIGINT for it and for all that it started and left in its process group. */
  interrupt(): void
}

export interface Surroundings {
  cwd?: string
  env?: NodeJS.ProcessEnv
}

/** Starts a program. */
export function run(program: string, args: readonly string[], { cwd, env }: Surroundings = {}): Running {
  const child = spawn(program, args, {
    cwd: cwd ?? repository,
    env: env ?? process.env,
    // A separate process group, as a shell creates it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  const killNow = () => void child.kill('SIGKILL')
  process.once('exit', killNow)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      process.off('exit', killNow)
      resolve({ code, signal, ...said })
    })
  })
  const interrupt = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT')
  }
  atEnd(async () => {
    killNow()
    await ended.catch(() => undefined)
  })
  return { pid: child.pid ?? -1, said, ended, kill: (signal) => void child.kill(signal), interrupt }
}

/** Starts the command of this repository under this Node. */
export function startResile(args: readonly string[], surroundings: Surroundings = {}): Running {
  return run(process.execPath, [join(repository, 'bin', 'resile.mjs'), ...args], surroundings)
}

/** Runs the command to its end. */
export async function resile(args: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return startResile(args, surroundings).ended
}

/** Whether a process runs; one that only waits to be reaped does not. */
export function isRunning(pid: number): boolean {
  const state = processState(pid)
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** Waits until none of these processes runs. */
export async function gone(pids: readonly number[], within: number): Promise<void> {
  await until(`${pids.join(' ')} have ended`, () => !pids.some(isRunning), { within })
}

/** One letter as in `ps`; undefined if there is no such process. */
function processState(pid: number): string | undefined {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}
