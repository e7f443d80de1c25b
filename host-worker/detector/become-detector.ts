import { dirname, join } from 'node:path'
import { log } from '../../shared/log.ts'
import { become, SMALL_HEAP } from '../process/become.ts'
import { compileCache } from '../process/compile-cache.ts'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import type { PlanSource } from '../process/reloadable.ts'
import type { DetectorRun } from './daemon.ts'

/** All that the daemon has to know: JSON. */
export type DetectorPlan = Omit<DetectorRun, 'signal' | 'onStarted'> & { source: PlanSource }

const PROGRAM = join(PACKAGE_ROOT, 'host-worker/detector/detector-main.ts')

/**
 * Puts the detector daemon in this process's place.
 *
 * @throws Error when there is no room for the plan
 */
export async function becomeDetector(plan: DetectorPlan, signal: AbortSignal): Promise<void> {
  // Beside its state, so that what a worker keeps of the source is its own.
  const cache = await compileCache(dirname(plan.stateFile), [PROGRAM], (detail) =>
    log('warn', 'compile_cache_unavailable', { detail }),
  )
  await become({ program: PROGRAM, plan, flags: SMALL_HEAP, env: {}, cache, isReadOnly: false }, signal)
}
