/** A process with captured output, ended with everything that it has started. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { constants as os } from 'node:os'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { CommandResult } from '../../workflows/sdk/activities.ts'
import { createCgroup, inCgroup, removeCgroup } from './cgroup.ts'
import { type Guardian, startGuardian } from './guardian.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'
import { endTrees, MARK, type ProcessTree, type Survivor } from './process-tree.ts'

/** The process to run. Times in milliseconds. */
export interface ProcessOrder {
  argv: readonly string[]
  directory: string
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>
  /** Bytes kept of each output stream: the first ones, or the last. */
  outputCap: number
  keeps?: 'head' | 'tail'
  /** Ends the process when it aborts. */
  signal: AbortSignal
  /** From SIGTERM to SIGKILL. */
  killGrace: number
  /** Whether what it leaves behind is ended too; otherwise a service that a command starts continues. */
  leavesNothing?: boolean
  /** Told of the process once it runs. */
  onStart?: (leader: ProcessIdentity) => void
}

/** How long output may still come after the process has ended, from children that it left behind. */
const OUTPUT_GRACE_MS = 200
/** Exit code of a program that could not be started, as shells have it. */
const EXIT_NOT_STARTED = 127

/** Ends what this process has started when it dies itself, by whatever means. One for all commands, from the first on. */
let guardian: Promise<Guardian> | undefined

/** How a process ended. */
export interface ProcessEnd {
  output: CommandResult
  /** Whether the signal ended it, with everything that it had started. */
  killed: boolean
  /** What even SIGKILL did not end, as what runs with the rights of another user. */
  survivors: readonly Survivor[]
}

/** Runs a process. Never throws for what the process does. */
export async function runProcess(order: ProcessOrder): Promise<ProcessEnd> {
  const watcher = await ensureGuardian()
  const began = performance.now()
  const stdout = new CappedOutput(order.outputCap, order.keeps ?? 'head')
  const stderr = new CappedOutput(order.outputCap, order.keeps ?? 'head')
  const mark = randomUUID()
  const cgroup = canStart(order) ? createCgroup() : null
  const marked = cgroup === null ? { ...order.env, [MARK]: mark } : order.env
  const [program = '', ...args] = cgroup === null ? order.argv : inCgroup(cgroup, order.argv, order.env)
  const child = spawn(program, args, {
    cwd: order.directory,
    env: marked,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  // One that ended at once may have left children behind: its group still has its number.
  const leader: ProcessTree | undefined =
    child.pid === undefined
      ? undefined
      : { ...(identify(child.pid) ?? { pid: child.pid, started: 'ended at once' }), mark, cgroup }
  if (leader !== undefined) {
    watcher.watch(leader)
    order.onStart?.({ pid: leader.pid, started: leader.started })
  }
  child.stdout.on('data', (chunk: Buffer) => stdout.add(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk))
  const ending: { done?: Promise<Survivor[]> } = {}
  const kill = (): void => {
    ending.done ??= leader === undefined ? Promise.resolve([]) : endTrees([leader], { graceMs: order.killGrace })
  }
  if (order.signal.aborted) kill()
  order.signal.addEventListener('abort', kill, { once: true })
  try {
    const exitCode = await ended(child, stderr)
    const killed = ending.done !== undefined
    if (order.leavesNothing) kill()
    const survivors = (await ending.done) ?? []
    return {
      output: {
        exitCode,
        stdout: stdout.text(),
        stderr: stderr.text(),
        durationMs: Math.round(performance.now() - began),
      },
      killed,
      survivors,
    }
  } finally {
    if (cgroup !== null) removeCgroup(cgroup)
    if (leader !== undefined) watcher.forget(leader)
    order.signal.removeEventListener('abort', kill)
    handOver(child.stdout)
    handOver(child.stderr)
  }
}

/**
 * Whether the program is there, and env(1) takes it for one. For any other, the operating system itself is to say what is
 * wrong.
 */
function canStart({ argv: [program = ''], directory, env }: ProcessOrder): boolean {
  if (program.includes('=') || program.startsWith('-')) return false
  const folders = program.includes('/') ? [directory] : (env['PATH'] ?? '').split(':')
  return (
    ['/bin/sh', '/usr/bin/env'].every(isExecutable) &&
    folders.some((folder) => isExecutable(resolve(directory, folder, program)))
  )
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function ended(child: ChildProcess, stderr: CappedOutput): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      stderr.add(Buffer.from(`${error.message}\n`))
      resolve(EXIT_NOT_STARTED)
    })
    child.once('exit', (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : os.signals[signal])
      child.once('close', () => resolve(exitCode))
      setTimeout(() => resolve(exitCode), OUTPUT_GRACE_MS).unref()
    })
  })
}

/** One that can't be started now may be later. */
function ensureGuardian(): Promise<Guardian> {
  guardian ??= startGuardian().catch((error: unknown) => {
    guardian = undefined
    throw error
  })
  return guardian
}

/**
 * What a command has left behind, such as a daemon, may keep its output open without end. If nobody read that, the next
 * line would end the daemon (SIGPIPE), or stop it once the buffer is full: a process that outlives this one reads on.
 */
function handOver(stream: Readable): void {
  if (stream.readableEnded || stream.destroyed) return
  stream.pause()
  const reader = spawn('cat', [], { detached: true, stdio: [stream, 'ignore', 'ignore'] })
  // Without cat(1) this process itself reads on, and does not wait for the end.
  reader.once('error', () => {
    stream.resume()
    ;(stream as Socket).unref()
  })
  reader.once('spawn', () => stream.destroy())
  reader.unref()
}

/** Whether output was longer than what was kept of it. */
export function isCut(output: string): boolean {
  return CUT_NOTE.test(output)
}

const CUT_NOTE = /(?:^|\n)\[\d+ more bytes were cut\]\n/

/** Keeps the first or the last bytes of a stream and counts the rest. */
class CappedOutput {
  readonly #cap: number
  readonly #keeps: 'head' | 'tail'
  #chunks: Buffer[] = []
  #kept = 0
  #cut = 0

  constructor(cap: number, keeps: 'head' | 'tail') {
    this.#cap = cap
    this.#keeps = keeps
  }

  add(chunk: Buffer): void {
    if (this.#keeps === 'tail') {
      this.#chunks.push(chunk)
      this.#kept += chunk.length
      // Seldom, so that a chatty command costs little.
      if (this.#kept > 2 * this.#cap) this.#dropHead()
      return
    }
    const room = Math.min(this.#cap - this.#kept, chunk.length)
    if (room > 0) this.#chunks.push(chunk.subarray(0, room))
    this.#kept += room
    this.#cut += chunk.length - room
  }

  text(): string {
    if (this.#keeps === 'tail') this.#dropHead()
    const text = Buffer.concat(this.#chunks).toString('utf8')
    if (this.#cut === 0) return text
    const note = `[${this.#cut} more bytes were cut]`
    return this.#keeps === 'tail' ? `${note}\n${text}` : `${text}\n${note}\n`
  }

  #dropHead(): void {
    const all = Buffer.concat(this.#chunks)
    const last = all.subarray(Math.max(all.length - this.#cap, 0))
    this.#cut += all.length - last.length
    // A copy: a view would keep all of it in memory.
    this.#chunks = [Buffer.from(last)]
    this.#kept = last.length
  }
}
