/** From the command that has read the project to the process that serves the queues. */
import { join } from 'node:path'
import { log } from '../../shared/log.ts'
import { become, SMALL_HEAP } from '../process/become.ts'
import { compileCache } from '../process/compile-cache.ts'
import { GUARDIAN_PROGRAM } from '../process/guardian.ts'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import { confinementFlags } from './confinement.ts'
import type { WorkerPlan } from './worker-run.ts'

const PROGRAM = join(PACKAGE_ROOT, 'host-worker/worker/worker-main.ts')

/** Each of the SDK's threads would keep a separate heap; see mallopt(3). */
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
  const successor = { program: PROGRAM, plan, env: MALLOC }
  if (!plan.activities) {
    const flags = [...SMALL_HEAP, ...confinementFlags(plan)]
    await become({ ...successor, plan: withoutHost(plan), flags, cache: null, isReadOnly: true }, signal)
    return
  }
  const cache = await compileCache(data, [PROGRAM, GUARDIAN_PROGRAM], warn)
  await become({ ...successor, flags: SMALL_HEAP, cache, isReadOnly: false }, signal)
}

/** What only activities need can be large, and is nothing to workflow code. */
function withoutHost({ config, ...plan }: WorkerPlan): WorkerPlan {
  return { ...plan, config: { ...config, command: {}, load_balancer: {}, free_disk: {}, repository: {} } }
}
