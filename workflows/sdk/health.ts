/** Waiting for a service to be well. */
import { sleep } from '@temporalio/workflow'
import type { CheckRequest, CheckResult } from './activities.ts'
import { isHostUnreachable } from './failure.ts'
import { checkHttp } from './host.ts'
import { pauseUntilWell, pauseWhileWell } from './pauses.ts'

/** Outcome of {@link untilHealthy}. */
export interface HealthReport {
  healthy: boolean
  /** Number of checks made. */
  checks: number
  last: CheckResult
}

/** How it is waited. Times in milliseconds. */
export interface Patience {
  /** For how long every check has to find it healthy; default 0: one is enough. */
  steady?: number
  /** Whether a host without any worker counts as not healthy yet, instead of ending the wait; default false. */
  toleratesUnreachable?: boolean
  /** Done after each check, such as seeing to it that the node is still out of its pool. */
  meanwhile?: () => Promise<void>
}

/**
 * Checks until healthy, or until `within` has passed.
 *
 * @param within milliseconds
 * @throws ApplicationFailure `host_unreachable`, unless that is tolerated
 */
export async function untilHealthy(
  check: CheckRequest,
  within: number,
  { steady = 0, toleratesUnreachable = false, meanwhile }: Patience = {},
): Promise<HealthReport> {
  const began = Date.now()
  let healthySince: number | null = null
  for (let checks = 1; ; checks++) {
    const last = toleratesUnreachable ? await checkTolerantly(check) : await checkHttp(check)
    const now = Date.now()
    healthySince = last.ok ? (healthySince ?? now) : null
    const healthy = healthySince !== null && now - healthySince >= steady
    const pause = last.ok ? pauseWhileWell(now - began, steady) : pauseUntilWell(now - began)
    if (healthy || now + pause >= began + within) return { healthy, checks, last }
    await meanwhile?.()
    await sleep(pause)
  }
}

/** The finding of a failed check, in words. */
export function foundBy({ error, status }: CheckResult): string {
  return error ?? `status ${status}`
}

async function checkTolerantly(check: CheckRequest): Promise<CheckResult> {
  try {
    return await checkHttp(check)
  } catch (error) {
    if (!isHostUnreachable(error)) throw error
    return { ok: false, status: 0, durationMs: 0, error: 'the host is unreachable' }
  }
}
