import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import pLimit from 'p-limit'
import { formatDuration } from '../../../shared/duration.ts'
import { reportWaiting } from '../journal/activity-heartbeat.ts'
import { hostBusy, maxWaitOfAttempt } from '../journal/host-busy.ts'
import { wrapActivities } from '../journal/wrap-activities.ts'

/** Activities that run on a host at the same time; more wait for their turn. */
const MAX_RUNNING = 100
/** How long an activity waits for its turn, as it would for a worker to take it; in milliseconds. */
const MAX_WAIT_MS = 60_000

/**
 * Activities of which only some run at the same time. The others are taken, too, and wait: to Temporal, a host whose
 * activities all run would look like one that is down.
 *
 * Each throws ApplicationFailure `HostBusy` when its turn does not come.
 */
export function limitConcurrency<Activities extends object>(
  node: string,
  activities: Activities,
  { maxRunning = MAX_RUNNING, maxWaitMs = MAX_WAIT_MS } = {},
): Activities {
  const turns = pLimit(maxRunning)
  const reason = `${maxRunning} other activities run on ${node}`
  return wrapActivities(
    activities,
    (activity, name) => (request) => inTurn(turns, () => activity(request), { name, reason, maxWaitMs }),
  )
}

/** @throws ApplicationFailure `HostBusy`; CancelledFailure when it is cancelled before its turn */
async function inTurn(
  turns: ReturnType<typeof pLimit>,
  run: () => Promise<unknown>,
  { name, reason, maxWaitMs }: { name: string; reason: string; maxWaitMs: number },
): Promise<unknown> {
  let phase: 'waiting' | 'running' | 'gave up' = 'waiting'
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  if (turns.activeCount >= turns.concurrency) reportWaiting(reason)
  const result = turns(() => {
    if (phase === 'gave up') return undefined
    phase = 'running'
    begin()
    return run()
  })
  const ended = new AbortController()
  const { cancelled, info } = Context.current()
  const giveUp = (failure: unknown): void => {
    if (phase === 'running') return
    phase = 'gave up'
    throw failure
  }
  try {
    await Promise.race([
      begun,
      cancelled.catch(giveUp),
      sleep(Math.min(maxWaitOfAttempt(), maxWaitMs), undefined, { signal: ended.signal }).then(() => {
        const waited = Date.now() - info.scheduledTimestampMs
        giveUp(hostBusy(`${reason}, and ${name} has waited ${formatDuration(waited)}`, waited < maxWaitMs))
      }),
    ])
  } finally {
    ended.abort()
    reportWaiting(null)
  }
  return result
}
