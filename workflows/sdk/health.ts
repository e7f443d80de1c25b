/** Waiting for a service to be well. */
import { sleep } from '@temporalio/workflow'
import type { CheckRequest, CheckResult } from './activities.ts'
import { isHostUnreachable } from './failure.ts'
import { checkHttp } from './host.ts'

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
  /** Whether a host that nobody answers on counts as not healthy yet, instead of ending the wait; default false. */
  toleratesUnreachable?: boolean
}

/** Shortest and longest time between two checks, in milliseconds. */
const PAUSE = { shortest: 1000, longest: 60_000 }
/** The pause is this part of the time that was waited already: every check stays in the execution's history for ever. */
const PAUSE_SHARE = 1 / 20

/**
 * Checks until healthy, or until `within` has passed.
 *
 * @param within milliseconds
 * @throws ApplicationFailure `host_unreachable`, unless that is tolerated
 */
export async function untilHealthy(
  check: CheckRequest,
  within: number,
  { steady = 0, toleratesUnreachable = false }: Patience = {},
): Promise<HealthReport> {
  const began = Date.now()
  let healthySince: number | null = null
  for (let checks = 1; ; checks++) {
    const last = toleratesUnreachable ? await checkTolerantly(check) : await checkHttp(check)
    const now = Date.now()
    healthySince = last.ok ? (healthySince ?? now) : null
    const healthy = healthySince !== null && now - healthySince >= steady
    const waited = last.ok ? PAUSE.shortest : Math.max((now - began) * PAUSE_SHARE, PAUSE.shortest)
    const pause = Math.min(waited, PAUSE.longest)
    if (healthy || now + pause >= began + within) return { healthy, checks, last }
    await sleep(pause)
  }
}

async function checkTolerantly(check: CheckRequest): Promise<CheckResult> {
  try {
    return await checkHttp(check)
  } catch (error) {
    if (!isHostUnreachable(error)) throw error
    return { ok: false, status: 0, durationMs: 0, error: 'the host is unreachable' }
  }
}
