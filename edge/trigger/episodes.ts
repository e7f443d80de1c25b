/** Episodes of pushed signals, for the analysis of signals. */
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode, TriggerItem } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'

/** Length of a name and of a fingerprint, in characters; the same as for detectors' own. */
const MAX_TEXT_LENGTH = 255
/** Episodes of one request: an alert has one for each detector that it matches. */
const MAX_EPISODES = 2000

/** An episode's identity and times. */
export interface ObservedEpisode extends Pick<SignalEpisode, 'source' | 'name' | 'workflow' | 'fingerprint'> {
  /** Milliseconds since the epoch. */
  began: number
  /** Null while it lasts. */
  ended: number | null
}

/** An episode with the outcome of its start; without an item nothing was requested. */
export function episodeOf(
  { began, ended, ...facts }: ObservedEpisode,
  item: Pick<TriggerItem, 'execution' | 'code'> | undefined,
): SignalEpisode {
  const execution = item?.execution ?? null
  return {
    ...facts,
    name: truncate(facts.name),
    fingerprint: truncate(facts.fingerprint),
    began: new Date(began).toISOString(),
    ended: ended === null ? null : new Date(Math.max(began, ended)).toISOString(),
    admitted: execution === null ? 0 : 1,
    denied: item === undefined || execution !== null ? 0 : 1,
    code: item?.code ?? null,
    executions: execution === null ? [] : [execution],
  }
}

/** The episodes of signals that have no end: each is over as soon as it is received. */
export function instantEpisodes(source: string, items: readonly TriggerItem[], now: number): SignalEpisode[] {
  return items.flatMap((item) => {
    const { detector, workflow, fingerprint } = item
    if (detector === null || workflow === null) return []
    return [episodeOf({ source, name: detector, workflow, fingerprint, began: now, ended: now }, item)]
  })
}

/**
 * Records episodes in the background: one that can't be recorded is only missing from the analysis. Of too many, those that
 * were denied go first.
 */
export function recordEpisodes(
  { var: { ledgers }, executionCtx }: AppContext,
  episodes: readonly SignalEpisode[],
): void {
  if (episodes.length === 0) return
  const chosen = episodes.toSorted((a, b) => b.denied - a.denied).slice(0, MAX_EPISODES)
  if (chosen.length < episodes.length) {
    const detail = `one request has at most ${MAX_EPISODES}`
    log('warn', 'signals_not_recorded', { detail, episodes: episodes.length - chosen.length })
  }
  const recorded = async (): Promise<void> => ledgers.signals().record(chosen)
  executionCtx.waitUntil(
    recorded().catch((error: unknown) => log('warn', 'signals_not_recorded', { detail: messageOf(error) })),
  )
}

function truncate(text: string): string {
  return text.slice(0, MAX_TEXT_LENGTH).toWellFormed()
}
