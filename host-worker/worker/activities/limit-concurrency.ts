import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import pLimit from 'p-limit'
import { formatDuration } from '../../../shared/duration.ts'
import { reportWaiting } from '../journal/activity-heartbeat.ts'

/** Activities that run on a host at the same time; more wait for their turn. */
const MAX_RUNNING = 100
/** How long an activity waits for its turn, as it would for a worker to take it; in milliseconds. */
const MAX_WAIT_MS = 60_000
/** Part of an attempt's time for which it waits: one that begins late would be cut off by the attempt's end. */
const WAITING_SHARE = 0.1

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
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]: [string, (request: unknown) => Promise<unknown>]) => [
      name,
      (request: unknown) => inTurn(turns, () => activity(request), { name, reason, maxWaitMs }),
    ]),
  ) as Activities
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
  const { startToCloseTimeoutMs, scheduledTimestampMs } = info
  const share = startToCloseTimeoutMs > 0 ? startToCloseTimeoutMs * WAITING_SHARE : maxWaitMs
  try {
    await Promise.race([
      begun,
      cancelled.catch(giveUp),
      sleep(Math.min(share, maxWaitMs), undefined, { signal: ended.signal }).then(() => {
        const waited = Date.now() - scheduledTimestampMs
        giveUp(busy(`${reason}, and ${name} has waited ${formatDuration(waited)}`, waited < maxWaitMs))
      }),
    ])
  } finally {
    ended.abort()
    reportWaiting(null)
  }
  return result
}

function busy(message: string, isRetried: boolean): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'HostBusy',
    message,
    nonRetryable: !isRetried,
    ...(isRetried ? { nextRetryDelay: '1s' } : {}),
  })
}
