/** One process of its own group, with captured output, ended as a whole when it may not go on. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { CommandResult } from '../../workflows/sdk/activities.ts'
import { type Guardian, startGuardian } from '../process/guardian.ts'
import { identify, type ProcessIdentity } from '../process/process-identity.ts'

/** What to run. Times in milliseconds. */
export interface ProcessOrder {
  argv: readonly string[]
  directory: string
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>
  /** Most bytes kept of each output stream: the first ones, or the last. */
  outputCap: number
  keeps?: 'head' | 'tail'
  /** Ends the process when it aborts. */
  signal: AbortSignal
  /** From SIGTERM to SIGKILL. */
  killGrace: number
  /** Told of the process once it runs. */
  onStart?: (leader: ProcessIdentity) => void
}

/** How long output may still come after the process has ended, from children that it left behind. */
const OUTPUT_GRACE = 200
/** Exit code of a program that could not be started, as shells have it. */
const NOT_STARTED = 127

/** Ends what this process has started when it dies itself, by whatever means. One for all commands, from the first on. */
let guardian: Promise<Guardian> | undefined

/** Runs a process. Never throws for what the process does; `killed` when the signal ended it. */
export async function runProcess(order: ProcessOrder): Promise<{ output: CommandResult; killed: boolean }> {
  const [program = '', ...args] = order.argv
  guardian ??= startGuardian()
  const watcher = await guardian
  const began = performance.now()
  const stdout = new CappedOutput(order.outputCap, order.keeps ?? 'head')
  const stderr = new CappedOutput(order.outputCap, order.keeps ?? 'head')
  // A group of its own, so that what the command has started ends with it.
  const child = spawn(program, args, {
    cwd: order.directory,
    env: order.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const leader = child.pid === undefined ? undefined : identify(child.pid)
  if (leader !== undefined) {
    watcher.watch(leader)
    order.onStart?.(leader)
  }
  child.stdout.on('data', (chunk: Buffer) => stdout.add(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk))
  let killed = false
  const kill = (): void => {
    killed = true
    killGroup(child, 'SIGTERM')
    setTimeout(() => killGroup(child, 'SIGKILL'), order.killGrace).unref()
  }
  if (order.signal.aborted) kill()
  order.signal.addEventListener('abort', kill, { once: true })
  try {
    const exitCode = await ended(child, stderr)
    return {
      output: {
        exitCode,
        stdout: stdout.text(),
        stderr: stderr.text(),
        durationMs: Math.round(performance.now() - began),
      },
      killed,
    }
  } finally {
    if (leader !== undefined) watcher.forget(leader)
    order.signal.removeEventListener('abort', kill)
  }
}

function ended(child: ChildProcess, stderr: CappedOutput): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      stderr.add(Buffer.from(`${error.message}\n`))
      resolve(NOT_STARTED)
    })
    child.once('exit', (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
      child.once('close', () => resolve(exitCode))
      setTimeout(() => resolve(exitCode), OUTPUT_GRACE).unref()
    })
  })
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The group has ended already.
  }
}

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
