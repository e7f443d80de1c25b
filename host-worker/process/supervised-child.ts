import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { exponentialWait } from '../../shared/backoff.ts'
import { splitLines } from './line-splitter.ts'
import { type LogFile, openLogFile } from './log-file.ts'
import { endGroups, signalGroup } from './process-group.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'

/** A program to run and how. */
export interface ChildSpec {
  /** Its role, such as `worker`. */
  role: string
  /** Unique among the children of one supervisor. */
  name: string
  command: string
  args?: readonly string[]
  /** The whole environment; default: this process's own. */
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Whether it is started again when it ends by itself after it was ready once. */
  restart: boolean
  /** Makes what it needs to run again before a restart: it may have been removed meanwhile. */
  prepare?: () => Promise<void>
  /** Asked again and again until it resolves: the child is then ready. Without it: ready when it runs. */
  ready?: (signal: AbortSignal) => Promise<void>
  /** How long it may take to be ready; default 30 s. */
  readyTimeoutMs?: number
  /** How long it may take to stop after SIGTERM before it is killed; default 5 s. */
  stopGraceMs?: number
  onLine?: (line: string, stream: OutputStream) => void
  /** Gets each line of its output. */
  logFile?: string
}

/** Where a line of output came from. */
export type OutputStream = 'stdout' | 'stderr'

/** Something that happened to a child. */
export type ChildChange = { role: string; name: string } & (
  | { kind: 'started'; pid: number }
  | { kind: 'ready'; pid: number }
  /** `expected`: it was stopped on purpose. */
  | { kind: 'ended'; pid: number | undefined; reason: string; expected: boolean }
  | { kind: 'restarting'; delayMs: number }
)

/** Events of a child for its supervisor. */
export interface ChildHooks {
  change(change: ChildChange): void
  /** A process group was started, or is gone. */
  groupStarted(leader: ProcessIdentity): void
  groupGone(leader: ProcessIdentity): void
}

/** A child that did not become ready. */
export class ChildStartError extends Error {}

/** One program that is started, watched, started again with a growing delay, and stopped. */
export class SupervisedChild {
  readonly spec: ChildSpec
  /** How often it was started. */
  starts = 0
  readonly #hooks: ChildHooks
  readonly #lastLines: string[] = []
  #log: LogFile | undefined
  #run: Run | undefined
  #wasReady = false
  #stopping = false
  /** Restarts in a row, none of which ran for long. */
  #restarts = 0
  #restartTimer: NodeJS.Timeout | undefined

  constructor(spec: ChildSpec, hooks: ChildHooks) {
    this.spec = spec
    this.#hooks = hooks
  }

  /** Its pid while it runs. */
  get pid(): number | undefined {
    return this.#run?.leader?.pid
  }

  /** Starts it and waits until it is ready; on failure it is stopped, and the error holds its last lines of output. */
  async start(): Promise<void> {
    if (this.spec.logFile !== undefined) this.#log = openLogFile(this.spec.logFile)
    const run = this.#spawn()
    try {
      await this.#becomesReady(run)
      this.#wasReady = true
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Ends it at once, with all that it started. */
  kill(): void {
    const leader = this.#run?.leader
    if (leader !== undefined) signalGroup(leader, 'SIGKILL')
  }

  /** Ends it and whatever it left behind; it is not started again. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restartTimer)
    const run = this.#run
    if (run !== undefined) {
      // Only the child itself is asked: what it runs in turn is its own to stop in order.
      run.process.kill('SIGTERM')
      const killed = setTimeout(() => {
        if (run.leader !== undefined) signalGroup(run.leader, 'SIGKILL')
      }, this.spec.stopGraceMs ?? 5_000)
      await run.gone
      clearTimeout(killed)
    }
    await this.#log?.close()
  }

  #spawn(): Run {
    const { command, args = [], env, cwd } = this.spec
    this.starts += 1
    const child = spawn(command, args, {
      // In a separate session: the terminal's Ctrl-C is for the supervisor, which stops its children in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
    })
    const leader = child.pid === undefined ? undefined : identifyStarted(child.pid)
    if (leader !== undefined) this.#hooks.groupStarted(leader)
    splitLines(child.stdout, (line) => this.#line(line, 'stdout'))
    splitLines(child.stderr, (line) => this.#line(line, 'stderr'))
    const ended = endOf(child)
    const run: Run = {
      process: child,
      leader,
      startedAt: performance.now(),
      ended,
      gone: this.#afterEnd(ended, leader),
    }
    this.#run = run
    if (leader !== undefined) this.#change({ kind: 'started', pid: leader.pid })
    return run
  }

  async #afterEnd(ended: Promise<string>, leader: ProcessIdentity | undefined): Promise<void> {
    const reason = await ended
    const run = this.#run
    this.#change({ kind: 'ended', pid: leader?.pid, reason, expected: this.#stopping })
    if (leader !== undefined) {
      await endGroups([leader], { graceMs: leftoverGraceMs })
      this.#hooks.groupGone(leader)
    }
    this.#run = undefined
    if (run !== undefined && this.#wasReady && this.spec.restart && !this.#stopping) this.#restart(run)
  }

  #restart(run: Run): void {
    this.#restarts = performance.now() - run.startedAt >= CALM_AFTER_MS ? 1 : this.#restarts + 1
    const delayMs = exponentialWait(this.#restarts, RESTART_BACKOFF_MS)
    this.#change({ kind: 'restarting', delayMs })
    this.#restartTimer = setTimeout(() => {
      void this.#startAgain()
    }, delayMs)
  }

  async #startAgain(): Promise<void> {
    // What can't be made shows in the child's own words.
    await this.spec.prepare?.().catch((error: unknown) => this.#line(`can't be prepared: ${String(error)}`, 'stderr'))
    if (this.#stopping) return
    const next = this.#spawn()
    // One that runs but never answers is of no use: it is ended, and so started again.
    this.#becomesReady(next).catch(() => {
      if (next.leader !== undefined) signalGroup(next.leader, 'SIGKILL')
    })
  }

  async #becomesReady(run: Run): Promise<void> {
    const timeoutMs = this.spec.readyTimeoutMs ?? 30_000
    const over = new AbortController()
    const failure = Promise.race([
      run.ended.then((reason) => `ended before it was ready: ${reason}`),
      sleep(timeoutMs, undefined, { signal: over.signal }).then(() => `was not ready within ${timeoutMs / 1000} s`),
    ])
    const success = this.#answers(over.signal).then(() => undefined)
    // Both go on after the race; what they say then is of no interest.
    failure.catch(() => {})
    const outcome = await Promise.race([failure, success])
    over.abort()
    if (outcome === undefined && run.leader !== undefined) this.#change({ kind: 'ready', pid: run.leader.pid })
    else throw new ChildStartError(await this.#describe(outcome ?? 'could not be started', run))
  }

  /** Resolves when the child says that it is ready; never when `signal` ended it before. */
  async #answers(signal: AbortSignal): Promise<void> {
    const { ready } = this.spec
    if (ready === undefined) {
      // A command that does not exist fails a moment after it was started.
      await sleep(20)
      return
    }
    while (!signal.aborted) {
      try {
        await ready(signal)
        return
      } catch {
        await sleep(askAgainMs)
      }
    }
    await new Promise(() => {})
  }

  async #describe(problem: string, run: Run): Promise<string> {
    // The last lines may still be on their way.
    await Promise.race([run.gone, sleep(200)])
    const said = this.#lastLines.length === 0 ? 'it said nothing' : `its last lines:\n  ${this.#lastLines.join('\n  ')}`
    return `${this.spec.role} ${this.spec.name} ${problem}; ${said}`
  }

  #line(line: string, stream: OutputStream): void {
    this.#lastLines.push(line)
    if (this.#lastLines.length > rememberedLines) this.#lastLines.shift()
    this.#log?.write(line)
    this.spec.onLine?.(line, stream)
  }

  #change(change: DistributiveOmit<ChildChange, 'role' | 'name'>): void {
    this.#hooks.change({ role: this.spec.role, name: this.spec.name, ...change })
  }
}

const RESTART_BACKOFF_MS = { first: 200, max: 10_000 }
/** One that lived this long starts again at once. */
const CALM_AFTER_MS = 30_000
const leftoverGraceMs = 2_000
const askAgainMs = 100
const rememberedLines = 20

/** One life of the program. */
interface Run {
  process: ChildProcess
  leader: ProcessIdentity | undefined
  startedAt: number
  /** Resolves with the reason when the process has ended, */
  ended: Promise<string>
  /** and this when all that it left behind has ended too. */
  gone: Promise<void>
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

function identifyStarted(pid: number): ProcessIdentity {
  // One that ended at once can't be distinguished from its successors any more; its exit is reported all the same.
  return identify(pid) ?? { pid, started: 'ended at once' }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
}
