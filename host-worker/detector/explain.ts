/** What each detector observes, and why it would or wouldn't trigger: polls once, changes nothing. */
import { type DetectorConfig, isPushed, sourceOf } from '../../shared/config.ts'
import { formatDuration } from '../../shared/duration.ts'
import { messageOf } from '../../shared/log.ts'
import type { Decision, Problem } from '../../shared/wire.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../net/coordinator-client.ts'
import { type Episode, observeEpisodes } from './episodes.ts'
import { createSource } from './sources/create-source.ts'
import { DetectorStore, StateUnreadable } from './store.ts'
import { triggerBody } from './trigger.ts'
import { limitTriggers } from './trigger-limit.ts'

/** One condition that a detector sees. */
export interface ExplainedCondition {
  fingerprint: string
  labels: Readonly<Record<string, string>>
  value: string
  summary: string
  would_trigger: boolean
  why: string
  /** The trigger's body; null when it can't be made. */
  trigger: Record<string, unknown> | null
}

/** The observation of a detector. */
export interface Explanation {
  detector: string
  source: string
  workflow: string
  sees: 'nothing' | 'conditions' | 'unknown' | 'not_watched_here'
  detail: string | null
  conditions: ExplainedCondition[]
}

/** Where explaining polls. */
export interface ExplainRun {
  detectors: Readonly<Record<string, DetectorConfig>>
  /** Null: the coordinator is not asked whether a trigger would be admitted. */
  coordinator: CoordinatorAddress | null
  /** Of the project. */
  directory: string
  /** Of the daemon, whose episodes it needs to know; read alone. */
  stateFile: string
}

/** How long the coordinator may take to say whether it would admit a trigger, in milliseconds. */
const EVALUATE_TIMEOUT_MS = 5000
/** Conditions of one detector that are evaluated by the coordinator. */
const MAX_EVALUATED = 5

/**
 * Explains all detectors.
 *
 * @throws StateUnreadable when what the daemon has triggered can't be read
 */
export async function explainDetectors(run: ExplainRun): Promise<Explanation[]> {
  // Without the state it is unknown what is due.
  const store = new DetectorStore(run.stateFile, { readsOnly: true })
  const client = run.coordinator === null ? null : new CoordinatorClient(run.coordinator)
  try {
    const all = Object.entries(run.detectors)
    return await Promise.all(
      all.map(([name, detector]) =>
        explain(name, detector, run.directory, store, client).catch((error: unknown): Explanation => {
          if (error instanceof StateUnreadable) throw error
          const head = { detector: name, source: sourceOf(detector), workflow: detector.workflow }
          return { ...head, sees: 'unknown', detail: `unexpected error: ${messageOf(error)}`, conditions: [] }
        }),
      ),
    )
  } finally {
    client?.close()
    store.close()
  }
}

async function explain(
  name: string,
  detector: DetectorConfig,
  directory: string,
  store: DetectorStore,
  client: CoordinatorClient | null,
): Promise<Explanation> {
  const head = { detector: name, source: sourceOf(detector), workflow: detector.workflow }
  if (isPushed(detector)) {
    const detail = 'its signals are pushed to the coordinator; see the decisions there'
    return { ...head, sees: 'not_watched_here', detail, conditions: [] }
  }
  const now = Date.now()
  const { episodes: before, limited, source: state } = store.load(name, detector.interval, now)
  const source = createSource(detector, directory, state)
  const observation = await source.observe(now)
  await source.close?.()
  if ('unknown' in observation) return { ...head, sees: 'unknown', detail: observation.unknown, conditions: [] }
  const { episodes, due } = observeEpisodes(before, observation, detector, now)
  const { send } = limitTriggers(due, limited, detector.limit, now)
  const goes = new Set(send.map(({ firing }) => firing.fingerprint))
  const conditions = await Promise.all(
    [...episodes.values()].map(async (episode, index) => {
      const { fingerprint, labels, value, summary } = episode.firing
      const trigger = bodyOf(name, detector, episode)
      const isDue = goes.has(fingerprint) && typeof trigger !== 'string'
      const asked = isDue && client !== null && index < MAX_EVALUATED
      const answer = asked ? await evaluate(client, detector.workflow, trigger) : null
      const why = typeof trigger === 'string' ? trigger : isDue ? 'it is due' : whyNot(episode, detector, due, now)
      return {
        fingerprint,
        labels,
        value,
        summary,
        would_trigger: isDue,
        why: answer === null ? why : `${why}; the coordinator says: ${answer}`,
        trigger: typeof trigger === 'string' ? null : trigger,
      }
    }),
  )
  return { ...head, sees: conditions.length === 0 ? 'nothing' : 'conditions', detail: null, conditions }
}

function bodyOf(name: string, detector: DetectorConfig, { firing }: Episode): Record<string, unknown> | string {
  try {
    return triggerBody(name, detector, firing)
  } catch (error) {
    return messageOf(error)
  }
}

function whyNot(episode: Episode, detector: DetectorConfig, due: readonly Episode[], now: number): string {
  const { began, since, clearSince, triggeredAt, notBefore, code, firing } = episode
  const ago = (time: number): string => formatDuration(Math.max(0, Math.round((now - time) / 1000) * 1000))
  if (began === null) return `it was first seen ${ago(since)} ago, and has to hold for ${formatDuration(detector.for)}`
  if (clearSince !== null)
    return `it ceased ${ago(clearSince)} ago; the episode ends after ${formatDuration(detector.clear_for)}`
  if (due.some((other) => other.firing.fingerprint === firing.fingerprint))
    return 'the limit of the detector is reached'
  if (triggeredAt !== null) {
    const again =
      detector.repeat_after === undefined
        ? 'it has no repeat_after'
        : `again after ${formatDuration(detector.repeat_after)}`
    if (notBefore <= now) return `it was triggered ${ago(triggeredAt)} ago in this episode; ${again}`
  }
  const denied = code === null ? '' : ` (denied: ${code})`
  return `it is tried again at ${new Date(notBefore).toISOString()}${denied}`
}

async function evaluate(client: CoordinatorClient, workflow: string, body: Record<string, unknown>): Promise<string> {
  try {
    const { status, json } = await client.request('POST', `/v1/workflows/${workflow}/evaluate`, {
      body,
      timeout: EVALUATE_TIMEOUT_MS,
    })
    const { decision, detail, code, errors = [] } = (json ?? {}) as Partial<Problem> & { decision?: Decision }
    if (decision === undefined) {
      const places = errors.map(({ path, message }) => ` (${path}: ${message})`).join('')
      return `${code ?? `status ${status}`}${detail === undefined ? '' : `: ${detail}`}${places}`
    }
    const until = decision.allowed_at === null ? '' : `, allowed at ${decision.allowed_at}`
    return decision.code === null ? decision.outcome : `${decision.outcome}: ${decision.code}${until}`
  } catch (error) {
    return messageOf(error)
  }
}
