/**
 * Daemons that go on with another configuration when they get SIGHUP. They don't load the readers of configuration files:
 * the command that they were started by is run again, and prints the plan that it would start by now.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../shared/log.ts'
import { onHangup } from './hangups.ts'
import { PACKAGE_ROOT } from './package-root.ts'
import { reportReload } from './reload-result.ts'
import { reportReady } from './service-manager.ts'

/** The command that a daemon was started by. */
export interface PlanSource {
  args: readonly string[]
  /** Its working directory. */
  directory: string
}

/** Why a signal has aborted that ends a run for the next one. */
export const RELOADED = 'reloaded'

/** The option by which a command prints its plan. */
const PRINT_PLAN = '--print-plan'

/** How often it is looked whether a run may be ended, in milliseconds. */
const IDLE_POLL_INTERVAL_MS = 100

/** How long reading the configuration may take, in milliseconds. */
const READ_TIMEOUT_MS = 120_000

/** One run of a daemon. */
type Run<Plan> = (plan: Plan, signal: AbortSignal, onStarted: () => void) => Promise<void>

interface Options<Plan> {
  /** The data directory, which the outcome of a reload is written to. */
  data: string
  /** Ends the daemon. */
  signal: AbortSignal
  run: Run<Plan>
  /** Why a plan can't be run by without a restart; null if it can. */
  refusal?: (next: Plan, current: Plan) => string | null
  /** Whether a run may be ended for the next one. */
  isIdle?: () => boolean
}

/** This command, as a daemon runs it again. */
export function planSource(): PlanSource {
  return { args: process.argv.slice(2), directory: process.cwd() }
}

/**
 * Runs a daemon by a plan, and on SIGHUP by the plan that its command makes then. One that can't be made, or can't be run by,
 * leaves the old one in use.
 *
 * @throws what a run throws that was not the first after a reload
 */
export async function runReloadable<Plan extends { source: PlanSource }>(
  first: Plan,
  { data, signal, run, refusal = () => null, isIdle = () => true }: Options<Plan>,
): Promise<void> {
  let current = { plan: first, loadedAt: new Date() }
  /** What to return to when the next one can't be run by; null once it runs. */
  let previous: typeof current | null = null
  let next: typeof current | null = null
  let swap = new AbortController()
  let swapped = Promise.withResolvers<void>()
  let readAt = new Date()
  const report = (...problems: string[]): Promise<void> => {
    const { plan, loadedAt } = current
    const times = { read_at: readAt.toISOString(), loaded_at: loadedAt.toISOString() }
    return reportReload(data, { problems, hash: hashOf(plan), ...times })
  }
  const reload = async (): Promise<void> => {
    const { source } = current.plan
    for (;;) {
      readAt = new Date()
      const answer = await readPlan<Plan>(source)
      if (signal.aborted) return
      if ('problems' in answer) return report(...answer.problems)
      const refused = refusal(answer.plan, current.plan)
      if (refused !== null) return report(refused)
      const loadedAt = new Date()
      if (hashOf(answer.plan) === hashOf(current.plan)) {
        current = { ...current, loadedAt }
        return report()
      }
      if (isIdle()) {
        next = { plan: { ...answer.plan, source }, loadedAt }
        break
      }
      // The files may have changed again by then: a mistake that was taken back must not be applied.
      while (!isIdle() && !signal.aborted) await sleep(IDLE_POLL_INTERVAL_MS)
    }
    swapped = Promise.withResolvers()
    swap.abort(RELOADED)
    await swapped.promise
  }
  const end = onHangup(() => reload().catch((error: unknown) => report(messageOf(error))))
  // What it waits for may be away for long; that is no reason not to be taken for started.
  reportReady(signal)
  try {
    for (;;) {
      swap = new AbortController()
      const onStarted = (): void => {
        if (previous === null) return
        previous = null
        swapped.resolve(report())
      }
      try {
        await run(current.plan, AbortSignal.any([signal, swap.signal]), onStarted)
      } catch (error) {
        if (previous === null) throw error
        current = previous
        previous = null
        swapped.resolve(report(messageOf(error)))
        continue
      }
      if (signal.aborted || next === null) return
      previous = current
      current = next
      next = null
    }
  } finally {
    swapped.resolve()
    // What is under way is not waited for: the process is about to end.
    void end()
  }
}

/** Has the command print its plan. What it says on stderr is why it has none. */
async function readPlan<Plan>({ args, directory }: PlanSource): Promise<{ plan: Plan } | { problems: string[] }> {
  // Large, and seldom needed.
  const { execa } = await import('execa')
  const main = join(PACKAGE_ROOT, 'host-worker/cli/main.ts')
  const { exitCode, stdout, stderr, shortMessage } = await execa(process.execPath, [main, ...args, PRINT_PLAN], {
    cwd: directory,
    reject: false,
    timeout: READ_TIMEOUT_MS,
  })
  if (exitCode === 0) return { plan: JSON.parse(stdout) as Plan }
  const problems = stderr.split('\n').filter((line) => line !== '')
  return { problems: problems.length > 0 ? problems : [shortMessage ?? `exit code ${exitCode}`] }
}

/** Names what a plan says. */
function hashOf({ source: _, ...plan }: { source: PlanSource }): string {
  return createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16)
}
