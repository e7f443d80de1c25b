/** Retention: how long, and how many rows, a ledger keeps. Rows that a window may still count are kept for its longest period. */
import { MAX_PERIOD_MS } from '../../../shared/config.ts'
import { firstIdAt } from '../../../shared/execution-id.ts'
import type { LedgerStore } from '../store/store.ts'

/** Limits by number, besides those by age; an execution is kept at least as long as its key. */
const MAX_ROWS = { executions: 200_000, denials: 100_000 }
/**
 * How long an execution is kept at least, whatever their number, and with it its `Idempotency-Key`; a day is promised. As a
 * rule it is as long as any window: an alert that still fires after some days, and is sent again, starts nothing again.
 */
const KEY_LIFE_MS = 48 * 3_600_000
/** Rows that are forgotten at one time, so that no trigger waits long for it. */
const BATCH = 1000

/**
 * Forgets what is too old or too much, some at a time.
 *
 * @returns whether there is more to forget
 */
export function forget(store: LedgerStore, now: number, max = MAX_ROWS): boolean {
  const longAgo = now - MAX_PERIOD_MS
  store.freezes.forgetExpired(now)
  store.messages.forgetExpired(now)
  store.failures.forgetBefore(longAgo)
  store.keys.deleteBefore(firstIdAt(longAgo))
  const excess = store.executions.endedCount() - max.executions
  const executions =
    excess > 0
      ? store.deleteEnded(firstIdAt(now - KEY_LIFE_MS), Math.min(excess, BATCH))
      : store.deleteEnded(firstIdAt(longAgo), BATCH)
  const excessDenials = store.decisions.deniedCount() - max.denials
  const denials =
    excessDenials > 0
      ? store.decisions.forgetDenials(firstIdAt(now + KEY_LIFE_MS), Math.min(excessDenials, BATCH))
      : store.decisions.forgetDenials(firstIdAt(longAgo), BATCH)
  const starts = store.starts.forgetBefore(longAgo, BATCH)
  return executions >= BATCH || denials >= BATCH || starts >= BATCH
}
