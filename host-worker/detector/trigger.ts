/** Sends an episode's trigger to the coordinator. */
import type { DetectorConfig } from '../../shared/config.ts'
import { sourceOf } from '../../shared/config.ts'
import { InterpolationError, interpolate } from '../../shared/interpolate.ts'
import { log, messageOf } from '../../shared/log.ts'
import { type CoordinatorAnswer, type CoordinatorClient, CoordinatorUnreachable } from '../coordinator-client.ts'
import { type Episode, type TriggerAnswer, triggerKey } from './episodes.ts'

/** Statuses that pass by themselves: try again, with the same key. */
const PASSING: ReadonlySet<number> = new Set([423, 429, 500, 502, 503, 504])

/** Triggers a detector's workflow for an episode. Never throws. */
export async function sendTrigger(
  client: CoordinatorClient,
  name: string,
  detector: DetectorConfig,
  episode: Episode,
  signal: AbortSignal,
): Promise<TriggerAnswer> {
  const { firing } = episode
  try {
    const answer = await client.request('POST', `/v1/workflows/${detector.workflow}/executions`, {
      signal,
      headers: { 'idempotency-key': triggerKey(name, episode) },
      body: {
        ...(detector.target === undefined ? {} : { target: interpolate(detector.target, firing) }),
        ...(detector.input === undefined ? {} : { input: interpolate(detector.input, firing) }),
        reason: firing.summary,
        trigger: { source: sourceOf(detector), name, fingerprint: firing.fingerprint },
      },
    })
    return judge(name, detector, answer)
  } catch (error) {
    // Told to stop: whether it was admitted is not known, and the same key goes out again after the next start.
    if (signal.aborted) return { kind: 'later', retryAfter: null }
    const refused = error instanceof InterpolationError
    if (!refused && !(error instanceof CoordinatorUnreachable)) throw error
    log(refused ? 'error' : 'warn', 'trigger_failed', {
      detector: name,
      workflow: detector.workflow,
      detail: messageOf(error),
    })
    return refused ? { kind: 'refused' } : { kind: 'later', retryAfter: null }
  }
}

function judge(name: string, detector: DetectorConfig, { status, headers, json }: CoordinatorAnswer): TriggerAnswer {
  if (status >= 200 && status < 300) return { kind: 'admitted' }
  const { code, detail, errors } = (json ?? {}) as { code?: string; detail?: string; errors?: unknown }
  const passing = PASSING.has(status)
  const retryAfter = retryAfterOf(headers)
  log(passing ? 'info' : 'error', 'trigger_denied', {
    detector: name,
    workflow: detector.workflow,
    status,
    code,
    detail,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === null ? {} : { retry_after_s: retryAfter / 1000 }),
  })
  return passing ? { kind: 'later', retryAfter } : { kind: 'refused' }
}

function retryAfterOf(headers: CoordinatorAnswer['headers']): number | null {
  const seconds = headers.get('retry-after')
  return seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : null
}
