/** How long an activity waits on a busy host, and how it fails when that is over. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'

/** Part of an attempt's time for which an activity waits before it leaves the rest to the next attempt. */
const WAITING_SHARE = 0.1

/**
 * For how many milliseconds the running attempt may wait: what begins late in it would be cut off by its end. Infinite for
 * an attempt without a limit.
 */
export function maxWaitOfAttempt(): number {
  const { startToCloseTimeoutMs } = Context.current().info
  return startToCloseTimeoutMs > 0 ? startToCloseTimeoutMs * WAITING_SHARE : Number.POSITIVE_INFINITY
}

/** The failure `HostBusy`; when it is retried, soon. */
export function hostBusy(message: string, isRetried: boolean): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'HostBusy',
    message,
    nonRetryable: !isRetried,
    ...(isRetried ? { nextRetryDelay: '1s' } : {}),
  })
}
