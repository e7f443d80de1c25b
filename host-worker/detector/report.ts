/** Reports episodes to the coordinator, for its analysis of signals. A failure here does not affect triggers. */

import { setTimeout as sleep } from 'node:timers/promises'
import { exponentialWait } from '../../shared/backoff.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { DetectorContext } from './poll.ts'

/** How often the store is checked for reports. */
const REPORT_INTERVAL_MS = 2000
/** The longest wait after failures. */
const BACKOFF_MS = { first: REPORT_INTERVAL_MS, max: 60_000 }
/** Episodes in one report: they fit into one request, however long their names are. */
const BATCH_SIZE = 25
/** Said of what is wrong with the reports themselves. */
const WRONG: ReadonlySet<number> = new Set([400, 413, 422])

/** Reports until it is stopped. */
export async function reportEpisodes(context: DetectorContext): Promise<void> {
  const { signal } = context
  let failures = 0
  while (!signal.aborted) {
    const wait = exponentialWait(failures + 1, BACKOFF_MS)
    await sleep(wait, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const problem = await reportOnce(context)
    if (problem === null) failures = 0
    else {
      // Once, and not again for as long as it lasts.
      if (failures === 0) log('warn', 'signals_not_reported', { detail: problem })
      failures += 1
    }
  }
}

/**
 * Tells all that waits. A report that the coordinator can't take is left out, so that it holds up no other.
 *
 * @returns what went wrong, or null
 */
export async function reportOnce({ client, store, signal }: DetectorContext): Promise<string | null> {
  try {
    for (let most = BATCH_SIZE; ; ) {
      const waiting = store.reports(most)
      if (waiting.length === 0) return null
      const body = { episodes: waiting.map(({ episode }) => episode) }
      const { status, json } = await client.request('POST', '/v1/signals', { body, signal, timeout: 10_000 })
      const problem = `status ${status}: ${String((json as { detail?: unknown } | null)?.detail ?? '')}`
      if (WRONG.has(status) && waiting.length > 1) {
        most = Math.ceil(waiting.length / 2)
        continue
      }
      if (WRONG.has(status)) log('error', 'signal_refused', { ...waiting[0]?.episode, detail: problem })
      else if (status >= 300) return problem
      // Otherwise they would be reported again and again.
      if (!store.taken(waiting)) return 'reports that were sent can not be deleted'
      if (waiting.length < most) return null
      most = BATCH_SIZE
    }
  } catch (error) {
    return signal.aborted ? null : messageOf(error)
  }
}
