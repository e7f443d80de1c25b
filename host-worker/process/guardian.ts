import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { ProcessIdentity } from './process-identity.ts'
import type { ProcessTree } from './process-tree.ts'

/** What it watches: a process group, or all that a command has started. */
export type Watched = ProcessIdentity | ProcessTree

/** A line to the guardian's process. */
export type GuardianMessage = { watch: Watched } | { forget: ProcessIdentity }

/** A small process that ends what it watches when this process dies, by whatever means. */
export interface Guardian {
  readonly pid: number | undefined
  watch(leader: Watched): void
  forget(leader: ProcessIdentity): void
  /** Lets it end, which first ends all that it still watches. */
  close(): Promise<void>
}

/** Starts a guardian and waits until it is on its guard; one that is killed is replaced. */
export async function startGuardian(): Promise<Guardian> {
  const guardian = new GuardianProcess()
  await guardian.ready
  return guardian
}

/** The guardian's own program. */
export const GUARDIAN_PROGRAM = join(import.meta.dirname, 'guardian-main.ts')

/** It lives as long as a worker, and does next to nothing. */
const SMALL = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--v8-pool-size=1']
/** Not at once, or one that can't start would be tried without end. */
const replaceAfterMs = 300

class GuardianProcess implements Guardian {
  readonly #watched = new Map<number, Watched>()
  #process: ChildProcess
  #closing = false
  readonly ready: Promise<void>

  constructor() {
    this.#process = this.#spawn()
    this.ready = saysReady(this.#process)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  watch(leader: Watched): void {
    this.#watched.set(leader.pid, leader)
    this.#send({ watch: leader })
  }

  forget(leader: ProcessIdentity): void {
    this.#watched.delete(leader.pid)
    this.#send({ forget: leader })
  }

  async close(): Promise<void> {
    this.#closing = true
    const { exitCode, signalCode } = this.#process
    if (exitCode !== null || signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    // Waited for, so it has to keep this process alive now.
    this.#process.ref()
    this.#process.stdin?.end()
    await ended
  }

  #spawn(): ChildProcess {
    const child = spawn(process.execPath, [...SMALL, GUARDIAN_PROGRAM], {
      // In a separate session: neither Ctrl-C nor the end of the terminal reaches it.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.unref()
    // Its death is noticed by its exit, not by the pipe that breaks with it.
    child.stdin.on('error', () => {})
    child.stdout.on('error', () => {})
    // It says one word; a pipe left open would keep this process from ending.
    child.stdout.once('data', () => child.stdout.destroy())
    child.on('error', () => {})
    child.once('exit', () => {
      if (!this.#closing) setTimeout(() => this.#replace(), replaceAfterMs).unref()
    })
    return child
  }

  #replace(): void {
    if (this.#closing) return
    this.#process = this.#spawn()
    for (const leader of this.#watched.values()) this.#send({ watch: leader })
  }

  #send(message: GuardianMessage): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`)
  }
}

function saysReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('error', reject)
    child.once('exit', () => reject(new Error('the guardian process ended before it was ready')))
  })
}
