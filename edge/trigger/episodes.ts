/** What the doors for signals know of episodes, for the analysis of signals. */
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode, TriggerItem } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { signalsOf } from '../ledgers.ts'

/** Most of a name and of a fingerprint, in characters, as of those that detectors tell. */
const TEXT_MOST = 255
/** Most episodes of one request: an alert has one for each detector that it is meant for. */
const EPISODES_MOST = 2000

/** What an episode is known by, and when it was. */
export interface EpisodeFacts extends Pick<SignalEpisode, 'source' | 'name' | 'workflow' | 'fingerprint'> {
  /** Milliseconds since the epoch. */
  began: number
  /** Null while it lasts. */
  ended: number | null
}

/** An episode with what came of it this time; without an item nothing was asked for. */
export function episodeOf({ began, ended, ...facts }: EpisodeFacts, item: TriggerItem | undefined): SignalEpisode {
  const execution = item?.execution ?? null
  return {
    ...facts,
    name: shortened(facts.name),
    fingerprint: shortened(facts.fingerprint),
    began: new Date(began).toISOString(),
    ended: ended === null ? null : new Date(Math.max(began, ended)).toISOString(),
    admitted: execution === null ? 0 : 1,
    denied: item === undefined || execution !== null ? 0 : 1,
    code: item?.code ?? null,
    executions: execution === null ? [] : [execution],
  }
}

/** The episodes of a signal whose end nobody tells: it is over as soon as it has come. */
export function momentsOf(source: string, items: readonly TriggerItem[], now: number): SignalEpisode[] {
  return items.flatMap((item) => {
    const { detector, workflow, fingerprint } = item
    if (detector === null || workflow === null) return []
    return [episodeOf({ source, name: detector, workflow, fingerprint, began: now, ended: now }, item)]
  })
}

/** Has episodes recorded. Nothing waits for that, and what can't be recorded is only missed in the analysis. */
export function record({ env, executionCtx }: AppContext, episodes: readonly SignalEpisode[]): void {
  if (episodes.length === 0) return
  const recorded = async (): Promise<void> => signalsOf(env).record(episodes.slice(0, EPISODES_MOST))
  executionCtx.waitUntil(
    recorded().catch((error: unknown) => log('warn', 'signals_not_recorded', { detail: messageOf(error) })),
  )
}

function shortened(text: string): string {
  return text.slice(0, TEXT_MOST).toWellFormed()
}
