import { z } from 'zod'
import type { LogConfig } from '../../../../shared/config.ts'
import { messageOf } from '../../../../shared/log.ts'
import { keptState } from '../kept-state.ts'
import { linePattern } from '../matching/line-pattern.ts'
import { MatchWindow, matchWindowState } from '../matching/match-window.ts'
import { Notices } from '../matching/notices.ts'
import type { Source } from '../source.ts'
import { followerState, LogFollower } from './log-follower.ts'

const stateSchema = z.object({
  kind: z.literal('log'),
  version: z.literal(1),
  /** Matches of another pattern don't count. */
  pattern: z.string(),
  matches: matchWindowState,
  positions: followerState,
})

/**
 * Counts the lines of logs that have a pattern.
 *
 * @param state what {@link Source.state} gave before a restart; anything else is ignored, with a notice
 * @param interval how often it is asked, in milliseconds
 */
export function followLog(config: LogConfig, state: unknown, interval = 1000): Required<Source> {
  const notices = new Notices()
  const pattern = linePattern(config.pattern)
  const kept = keptState(stateSchema, 'log_state_unusable', state, notices)
  const window = new MatchWindow(config, kept?.pattern === config.pattern ? kept.matches : undefined)
  let polledAt = 0
  const onLine = (line: string, path: string): void => {
    const labels = pattern.match(line)
    if (labels !== null) window.add(labels, polledAt, path, line)
  }
  const follower = new LogFollower(
    { files: config.files, from: config.from, interval, onLine, notices },
    kept?.positions,
  )
  return {
    async observe(now) {
      polledAt = now
      try {
        const problem = await follower.poll(now)
        const observation = window.observe(now)
        return problem === null ? observation : { unknown: problem }
      } catch (error) {
        return { unknown: messageOf(error) }
      }
    },
    state: (): z.output<typeof stateSchema> => ({
      kind: 'log',
      version: 1,
      pattern: config.pattern,
      matches: window.state(),
      positions: follower.state(),
    }),
    notices: () => notices.take(),
    close: () => follower.close(),
  }
}
