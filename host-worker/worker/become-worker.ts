/** From the command that has read the project to the process that serves the queues. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { log } from '../../shared/log.ts'
import { PACKAGE_ROOT } from '../package-root.ts'
import { GUARDIAN_PROGRAM } from '../process/guardian.ts'
import { parentEnvironment } from '../process/parent-watch.ts'
import { compileCache } from './compile-cache.ts'
import type { WorkerRun } from './run-worker.ts'

/** All that a worker has to know: JSON. */
export type WorkerPlan = Omit<WorkerRun, 'signal'>

const PROGRAM = join(PACKAGE_ROOT, 'host-worker/worker/worker-main.ts')

/**
 * Small rather than fast: a worker mostly waits. The young generation stays at 1 MB, since what the start leaves in a
 * larger one is not given back.
 */
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--v8-pool-size=1']
/** Each of the SDK's threads would keep a heap of its own; see mallopt(3). */
const MALLOC = { MALLOC_ARENA_MAX: '2' }

/** Fills the cache that workers start from, so that many that start at once don't each do it. */
export async function prepareWorkers(data: string, warn: (detail: string) => void): Promise<void> {
  await compileCache(data, [PROGRAM, GUARDIAN_PROGRAM], warn)
}

/**
 * Puts a worker in this process's place. The pid stays, and so does all that watches it; the memory that reading the
 * project took does not.
 *
 * @throws Error when there is no room for the plan
 */
export async function becomeWorker(plan: WorkerPlan, data: string, signal: AbortSignal): Promise<void> {
  const warn = (detail: string): void => log('warn', 'compile_cache_unavailable', { detail })
  const cache = await compileCache(data, [PROGRAM, GUARDIAN_PROGRAM], warn)
  const directory = await mkdtemp(join(tmpdir(), 'resile-worker-'))
  const file = join(directory, 'plan.json')
  await writeFile(file, JSON.stringify(plan), { mode: 0o600 })
  if (signal.aborted) return
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...NODE_OPTIONS, PROGRAM, file], {
    ...MALLOC,
    ...process.env,
    ...parentEnvironment(),
    ...(cache === null ? {} : { NODE_COMPILE_CACHE: cache }),
  })
}
