import { describe, expect, it } from 'vitest'
import { pollProblem } from './watch-polls.ts'

const NOW = Date.parse('2026-01-01T01:00:00Z')
const polls = { namespace: 'default', queue: 'dc1', takesActivities: true, identity: 'web-1/7' }
type Connection = Parameters<typeof pollProblem>[0]

/** A Temporal that has seen these pollers so many seconds ago, or fails. */
function temporal(seen: Record<string, number> | Error): Connection {
  const describeTaskQueue = async (): Promise<object> => {
    if (seen instanceof Error) throw seen
    const pollers = Object.entries(seen).map(([identity, ago]) => ({
      identity,
      lastAccessTime: { seconds: NOW / 1000 - ago },
    }))
    return { pollers }
  }
  const connection = {
    withDeadline: <T>(_: unknown, ask: () => Promise<T>) => ask(),
    workflowService: { describeTaskQueue },
  }
  return connection as unknown as Connection
}

const minutesAgo = (minutes: number): number => NOW - minutes * 60_000

describe('polls of a worker', () => {
  it.each([
    ['seen a moment ago', { 'web-1/7': 40 }, 30],
    ['not seen yet, soon after the start', {}, 1],
  ])('%s → no problem', async (_, seen, minutes) => {
    expect(await pollProblem(temporal(seen), polls, minutesAgo(minutes), NOW)).toBeNull()
  })

  it.each([
    ['not seen any more', { 'web-1/7': 600 }, '2026-01-01T00:50:00.000Z'],
    ['never seen, only those of another process', { 'web-1/6': 5 }, '2026-01-01T00:30:00.000Z'],
  ])('%s → problem, and since when', async (_, seen, since) => {
    expect(await pollProblem(temporal(seen), polls, minutesAgo(30), NOW)).toContain(since)
  })

  it('Temporal refuses to say → problem', async () => {
    const refusing = temporal(new Error('permission denied'))
    expect(await pollProblem(refusing, polls, minutesAgo(30), NOW)).toContain('permission denied')
  })
})
