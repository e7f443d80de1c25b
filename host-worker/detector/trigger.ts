/** Sends an episode's trigger to the coordinator. */
import { type DetectorConfig, sourceOf } from '../../shared/config.ts'
import { InterpolationError, interpolate } from '../../shared/interpolate.ts'
import { log, messageOf } from '../../shared/log.ts'
import { type CoordinatorAnswer, type CoordinatorClient, CoordinatorUnreachable } from '../net/coordinator-client.ts'
import { type Episode, type TriggerAnswer, triggerKey } from './episodes.ts'
import type { Firing } from './sources/observation.ts'

/** Statuses that pass by themselves: try again, with the same key. */
const PASSING: ReadonlySet<number> = new Set([423, 429, 500, 502, 503, 504])
/** How long an answer may take, in milliseconds: one without is asked for again, with the same key. */
const TRIGGER_TIMEOUT_MS = 15_000
/** The longest wait that is honoured: no constraint's period is longer than 31 days. */
const MAX_WAIT_MS = 31 * 24 * 3_600_000
/** Said of a key that was used with another body: the episode was admitted before its detector was changed. */
const CONFLICT = 409

/** The body of a detector's trigger. @throws InterpolationError when the signal lacks what the detector interpolates */
export function triggerBody(name: string, detector: DetectorConfig, firing: Firing): Record<string, unknown> {
  return {
    ...(detector.target === undefined ? {} : { target: interpolate(detector.target, firing) }),
    ...(detector.input === undefined ? {} : { input: interpolate(detector.input, firing) }),
    reason: firing.summary,
    trigger: { source: sourceOf(detector), name, fingerprint: firing.fingerprint },
  }
}

/** Triggers a detector's workflow for an episode. Never throws. */
export async function sendTrigger(
  client: CoordinatorClient,
  name: string,
  detector: DetectorConfig,
  episode: Episode & { sent: Firing },
  signal: AbortSignal,
): Promise<TriggerAnswer> {
  const { workflow } = detector
  try {
    const answer = await client.request('POST', `/v1/workflows/${workflow}/executions`, {
      signal,
      timeout: TRIGGER_TIMEOUT_MS,
      headers: { 'idempotency-key': triggerKey(name, episode) },
      body: triggerBody(name, detector, episode.sent),
    })
    return judge(name, workflow, answer)
  } catch (error) {
    // Told to stop: whether it was admitted is not known, and the same key goes out again after the next start.
    if (signal.aborted) return { kind: 'later', code: null, retryAfter: null, isFault: true }
    const refused = error instanceof InterpolationError
    if (!refused && !(error instanceof CoordinatorUnreachable)) throw error
    log(refused ? 'error' : 'warn', 'trigger_failed', { detector: name, workflow, detail: messageOf(error) })
    return refused
      ? { kind: 'refused', code: 'bad_template' }
      : { kind: 'later', code: 'unreachable', retryAfter: null, isFault: true }
  }
}

function judge(name: string, workflow: string, { status, headers, json }: CoordinatorAnswer): TriggerAnswer {
  if (status >= 200 && status < 300) {
    const { execution } = (json ?? {}) as { execution?: { id?: unknown } }
    if (typeof execution?.id === 'string') return { kind: 'admitted', execution: execution.id }
    // A proxy's page, say: should it have been admitted all the same, the key keeps it from starting twice.
    const problem = `status ${status} without an execution: this is not a coordinator's answer; check the address`
    log('error', 'trigger_failed', { detector: name, workflow, detail: problem })
    return { kind: 'later', code: 'bad_answer', retryAfter: null, isFault: true }
  }
  const { code = null, detail, errors } = (json ?? {}) as { code?: string; detail?: string; errors?: unknown }
  const passing = PASSING.has(status)
  const retryAfter = retryAfterOf(headers)
  log(passing ? 'info' : 'error', 'trigger_denied', {
    detector: name,
    workflow,
    status,
    code,
    detail,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === null ? {} : { retry_after_s: retryAfter / 1000 }),
  })
  if (status === CONFLICT) return { kind: 'admitted', execution: null }
  return passing
    ? { kind: 'later', code: code ?? `status_${status}`, retryAfter, isFault: status >= 500 }
    : { kind: 'refused', code: code ?? `status_${status}` }
}

function retryAfterOf(headers: CoordinatorAnswer['headers']): number | null {
  const seconds = headers.get('retry-after')
  return seconds !== null && /^\d+$/.test(seconds) ? Math.min(Number(seconds) * 1000, MAX_WAIT_MS) : null
}
