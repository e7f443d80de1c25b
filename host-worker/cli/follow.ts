/** Waits for the end of an execution, and shows its progress on stderr. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Execution, Step } from '../../shared/wire.ts'
import type { CoordinatorAnswer } from '../net/coordinator-client.ts'
import { targetText } from '../net/summaries.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { type ClientOptions, call } from './client.ts'
import { whileInterruptible } from './interrupt.ts'
import { printable } from './tables.ts'

/** How often it is polled. */
const POLL_INTERVAL_MS = 500
/** Statuses that nothing follows. */
const ENDED: ReadonlySet<Execution['status']> = new Set([
  'completed',
  'failed',
  'timed_out',
  'canceled',
  'terminated',
  'expired',
  'rejected',
  'shadowed',
])

/**
 * Follows an execution to its end; a coordinator that restarts meanwhile is waited for. Ctrl-C ends the waiting alone.
 *
 * @returns the last answer to `GET /v1/executions/{id}`; another status than 200 when it can't be followed
 */
export async function followExecution(options: ClientOptions, execution: Execution): Promise<CoordinatorAnswer> {
  const progress = new Progress(execution)
  const leave = (): void => {
    progress.end()
    console.error(howToFollow(options, execution))
    process.exit(EXIT.interrupted)
  }
  try {
    return await whileInterruptible(leave, () => untilEnded(options, execution.id ?? '', progress))
  } finally {
    progress.end()
  }
}

async function untilEnded(options: ClientOptions, id: string, progress: Progress): Promise<CoordinatorAnswer> {
  for (;;) {
    const answer = await ask(options, `/v1/executions/${id}`)
    if (answer === null || answer.status >= 500) progress.away()
    else if (answer.status !== 200) return answer
    else {
      const now = answer.json as Execution
      const steps = now.started_at === null ? null : await ask(options, `/v1/executions/${id}/steps`)
      progress.show(now, steps?.status === 200 ? ((steps.json as { steps: Step[] | null }).steps ?? []) : [])
      if (ENDED.has(now.status)) return answer
    }
    await sleep(POLL_INTERVAL_MS)
  }
}

/** The exit code for how an execution ended. */
export function exitCodeOf({ status }: Execution): number {
  return status === 'completed' || status === 'shadowed' ? EXIT.ok : EXIT.failed
}

function howToFollow(options: ClientOptions, { workflow, id }: Execution): string {
  const there = options.coordinator === undefined ? '' : ` --coordinator ${options.coordinator}`
  return [
    `${workflow} goes on without you.`,
    `follow it: resile executions ${id} --wait${there}`,
    `stop it:   resile cancel ${id}${there}`,
  ].join('\n')
}

async function ask(options: ClientOptions, path: string): Promise<CoordinatorAnswer | null> {
  try {
    return await call(options, 'GET', path)
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === EXIT.unreachable) return null
    throw error
  }
}

/** Lines for what has happened, and on a terminal one more for what happens. */
class Progress {
  readonly #isLive = process.stderr.isTTY === true
  readonly #began: number
  #status: Execution['status'] | null = null
  /** The last line that was shown of each step, by its index. */
  readonly #shown: string[] = []
  #lastLine = ''
  #lastProblem: string | null = null
  #isAway = false

  constructor({ admitted_at }: Execution) {
    this.#began = admitted_at === null ? Date.now() : Date.parse(admitted_at)
  }

  show(execution: Execution, steps: readonly Step[]): void {
    this.#isAway = false
    const { status } = execution
    const isFirst = this.#status === null
    if (status !== this.#status && !ENDED.has(status)) {
      this.#line(status, `${execution.workflow} on ${targetText(execution.target)}${isFirst ? ` ${execution.id}` : ''}`)
    }
    for (const [index, step] of steps.entries()) this.#step(step, index)
    if (status !== this.#status && ENDED.has(status)) {
      const why = execution.error === null ? '' : `: ${execution.error.message}`
      this.#line(status, `${execution.workflow} after ${this.#seconds(execution.closed_at)} s${why}`)
    }
    this.#status = status
    if (status === 'running') this.#problem(execution.error?.message ?? null)
    const current = steps.findLast((step) => step.status === 'running')
    this.#live(`${status} for ${this.#seconds()} s${current === undefined ? '' : `: ${nameOf(current)}`}`)
  }

  /** Why it makes no progress, if it does not. */
  #problem(problem: string | null): void {
    if (problem !== null && problem !== this.#lastProblem) this.#line('stuck', problem)
    if (problem === null && this.#lastProblem !== null) this.#line('running', 'it goes on')
    this.#lastProblem = problem
  }

  /** The coordinator doesn't answer. */
  away(): void {
    if (!this.#isAway) this.#line('waiting', 'the coordinator does not answer; what was admitted goes on')
    this.#isAway = true
  }

  /** Leaves the terminal as it was. */
  end(): void {
    if (this.#isLive) process.stderr.write(CLEAR)
  }

  #step(step: Step, index: number): void {
    const waiting = step.waiting_for ?? null
    const state = `${step.status} ${step.attempts} ${step.failure} ${waiting}`
    if (this.#shown[index] === state) return
    this.#shown[index] = state
    const tries = step.attempts > 1 ? ` (attempt ${step.attempts})` : ''
    const exit = (step.exit_code ?? 0) === 0 ? null : `exit code ${step.exit_code}`
    const reason = waiting === null ? (step.failure ?? exit) : `waits: ${waiting}`
    const why = reason === null ? '' : `: ${reason}`
    const text = `${nameOf(step)}${tries}${why}`
    // A check that is made again and again is one line.
    const line = `${step.status} ${text}`
    if (line !== this.#lastLine) this.#line(verbOf(step, exit), text)
    this.#lastLine = step.status === 'running' ? this.#lastLine : line
  }

  #line(verb: string, text: string): void {
    if (this.#isLive) process.stderr.write(CLEAR)
    const time = new Date().toLocaleTimeString('en-GB')
    process.stderr.write(`${time}  ${verb.padEnd(10)} ${printable(text).replaceAll('\n', ' ')}\n`)
  }

  #live(text: string): void {
    if (!this.#isLive) return
    const line = printable(text).replaceAll('\n', ' ')
    process.stderr.write(`${CLEAR}… ${line.slice(0, Math.max(10, (process.stderr.columns ?? 80) - 3))}`)
  }

  /** Since it was admitted, until it ended or now. */
  #seconds(endedAt: string | null = null): string {
    const end = endedAt === null ? Date.now() : Date.parse(endedAt)
    return ((end - this.#began) / 1000).toFixed(1)
  }
}

/** A command that fails ends its activity well: what a person reads is the command's outcome. */
function verbOf({ status }: Step, exit: string | null): string {
  if (status === 'running') return 'runs'
  return exit === null ? status : 'exited'
}

/** To the beginning of an empty line. */
const CLEAR = '\r\u001b[2K'

function nameOf({ activity, subject }: Step): string {
  return subject === null ? activity : `${activity} ${subject}`
}
