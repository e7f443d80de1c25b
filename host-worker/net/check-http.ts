import { parseDuration } from '../../shared/duration.ts'
import type { CheckRequest, CheckResult } from '../../workflows/sdk/activities.ts'

const DEFAULT_TIMEOUT_MS = 5000

/**
 * The activity `checkHttp`, and the detector's `http_check`. Never throws: errors are part of the result.
 * Redirects are not followed, since a redirect is an answer too.
 */
export async function checkHttp(request: CheckRequest): Promise<CheckResult> {
  const began = performance.now()
  const durationMs = (): number => Math.round(performance.now() - began)
  try {
    const timeout = request.timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(request.timeout)
    if (timeout === null) throw new Error(`timeout is not a duration: ${request.timeout}`)
    // A kept connection to a service that was just restarted would fail the first check for nothing.
    const response = await fetch(request.url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
      headers: { connection: 'close' },
    })
    await response.body?.cancel()
    const expected = request.expectStatus ?? 200
    const ok = response.status === expected
    return {
      ok,
      status: response.status,
      durationMs: durationMs(),
      ...(ok ? {} : { error: `status ${response.status}, expected ${expected}` }),
    }
  } catch (error) {
    return { ok: false, status: 0, durationMs: durationMs(), error: describe(error) }
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'timed out'
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}
