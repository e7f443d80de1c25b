/** Asks whether what was denied would be admitted now: freezes are lifted, limits raised and workers back at any time. */
import type { DetectorConfig } from '../../shared/config.ts'
import { InterpolationError } from '../../shared/interpolate.ts'
import type { Decision } from '../../shared/wire.ts'
import { type CoordinatorClient, CoordinatorUnreachable } from '../net/coordinator-client.ts'
import type { Episode } from './episodes.ts'
import { triggerBody } from './trigger.ts'

/** How long an answer may take, in milliseconds. */
const EVALUATE_TIMEOUT_MS = 5000
/** Between two rounds, in milliseconds: at most 30 s with their answers. */
const RECONSIDER_INTERVAL_MS = { min: 15_000, max: 25_000 }
/** Episodes of one detector that are asked about in one round; of more, others each time. */
const MAX_ASKED = 50

/** How long to wait for the next round. Differs, so that many detectors do not ask at once. */
export function reconsiderPause(): number {
  const { min, max } = RECONSIDER_INTERVAL_MS
  return min + Math.random() * (max - min)
}

/** Those of the episodes that are asked about in one round. */
export function sampled(episodes: readonly Episode[]): Episode[] {
  if (episodes.length <= MAX_ASKED) return [...episodes]
  const first = Math.floor(Math.random() * episodes.length)
  return [...episodes.slice(first), ...episodes.slice(0, first)].slice(0, MAX_ASKED)
}

/** `forbidden` when no route rule lets the detector ask. */
export type Reconsidered = 'allowed' | 'denied' | 'forbidden'

/** Whether the trigger of an episode would be admitted now. Changes nothing; `denied` without an answer. */
export async function reconsider(
  client: CoordinatorClient,
  name: string,
  detector: DetectorConfig,
  episode: Episode,
  signal: AbortSignal,
): Promise<Reconsidered> {
  try {
    const { status, json } = await client.request('POST', `/v1/workflows/${detector.workflow}/evaluate`, {
      body: triggerBody(name, detector, episode.sent ?? episode.firing),
      timeout: EVALUATE_TIMEOUT_MS,
      signal,
    })
    const { decision } = (json ?? {}) as { decision?: Decision }
    if (status === 401 || status === 403) return 'forbidden'
    return status === 200 && decision !== undefined && decision.outcome !== 'denied' ? 'allowed' : 'denied'
  } catch (error) {
    // The trigger itself will say what is wrong.
    if (signal.aborted || error instanceof CoordinatorUnreachable || error instanceof InterpolationError)
      return 'denied'
    throw error
  }
}
