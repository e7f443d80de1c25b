/**
 * Effectiveness of signals: how often each fired, what was started, and whether that helped. Pure; times in milliseconds
 * since the epoch.
 */
import type { ExecutionStatus, SignalCounts, SignalSummary } from '../../shared/wire.ts'

/** One time that a condition held. */
export interface Episode {
  source: string
  name: string
  workflow: string
  fingerprint: string
  began: number
  /** Null while it lasts. */
  ended: number | null
  /** Triggers that were admitted, and answers that weren't. */
  admitted: number
  denied: number
  /** The statuses of the executions that it started; null for one that no ledger knows any more. */
  executions: readonly (ExecutionStatus | null)[]
}

/** A condition that holds again within this time after it was gone, in milliseconds, flaps: it was not healed. */
const FLAP_MS = 10 * 60_000
const DAY_MS = 24 * 3_600_000
/** The periods of the analysis. */
const SPANS = { '1d': DAY_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS } as const
/** Executions that never did anything: they wait, were only recorded, or never started. */
const IDLE: ReadonlySet<ExecutionStatus | null> = new Set(['awaiting_approval', 'shadowed', 'rejected', 'expired'])

/** Sums episodes up by signal, the one that fired last first. */
export function analyse(episodes: readonly Episode[], now: number): SignalSummary[] {
  const judged = judgeEpisodes(episodes)
  const signals = Map.groupBy(judged, ({ episode }) => JSON.stringify([episode.source, episode.name, episode.workflow]))
  return [...signals.values()]
    .flatMap((mine) => {
      const last = mine.reduce((newest, one) => (one.episode.began > newest.episode.began ? one : newest)).episode
      const { source, name, workflow } = last
      const windows = Object.entries(SPANS).map(([span, length]) => [
        span,
        count(mine.filter(({ episode }) => episode.began > now - length)),
      ])
      return [
        {
          source,
          name,
          workflow,
          last_fired_at: new Date(last.began).toISOString(),
          windows: Object.fromEntries(windows) as SignalSummary['windows'],
        },
      ]
    })
    .sort((a, b) => (a.last_fired_at < b.last_fired_at ? 1 : -1))
}

/** An episode with what only its neighbours can say. */
interface Judged {
  episode: Episode
  /** It began soon after the same condition had gone. */
  isFlap: boolean
  /** The same condition came back soon after it had gone. */
  cameBack: boolean
}

function judgeEpisodes(episodes: readonly Episode[]): Judged[] {
  const conditions = Map.groupBy(episodes, ({ source, name, fingerprint }) =>
    JSON.stringify([source, name, fingerprint]),
  )
  return [...conditions.values()].flatMap((same) => {
    const inTurn = same.toSorted((a, b) => a.began - b.began)
    const isSoon = (earlier: Episode | undefined, later: Episode | undefined): boolean =>
      earlier !== undefined && earlier.ended !== null && later !== undefined && later.began - earlier.ended < FLAP_MS
    return inTurn.map((episode, index) => ({
      episode,
      isFlap: isSoon(inTurn[index - 1], episode),
      cameBack: isSoon(episode, inTurn[index + 1]),
    }))
  })
}

function count(judged: readonly Judged[]): SignalCounts {
  const number = (test: (one: Judged) => boolean): number => judged.filter(test).length
  return {
    fired: judged.length,
    admitted: number(({ episode }) => episode.admitted > 0),
    denied: number(({ episode }) => episode.denied > 0),
    helped: number(isHelped),
    flapped: number(({ isFlap }) => isFlap),
    never_acted_on: number(({ episode }) => !isActedOn(episode)),
    open: number(({ episode }) => episode.ended === null),
  }
}

/** All that it led to was completed, the condition went, and did not come back soon. */
function isHelped({ episode: { ended, executions }, cameBack }: Judged): boolean {
  const isCompleted = executions.length > 0 && executions.every((status) => status === 'completed')
  return isCompleted && ended !== null && !cameBack
}

function isActedOn({ admitted, executions }: Episode): boolean {
  return admitted > 0 && (executions.length === 0 || executions.some((status) => !IDLE.has(status)))
}
