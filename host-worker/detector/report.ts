/** Tells the coordinator of episodes, for its analysis of signals. Whatever fails here keeps nobody from triggering. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log, messageOf } from '../../shared/log.ts'
import type { Surroundings } from './poll.ts'

/** How often it is looked whether there is something to tell, in milliseconds. */
const REPORT_INTERVAL_MS = 2000
/** The longest wait after failures, in milliseconds. */
const MAX_BACKOFF_MS = 60_000
/** Episodes told at once: they fit into one request, however long their names are. */
const BATCH_SIZE = 25
/** Said of what is wrong with the reports themselves. */
const WRONG: ReadonlySet<number> = new Set([400, 413, 422])

/** Reports until it is told to end. */
export async function reportEpisodes(around: Surroundings): Promise<void> {
  const { signal } = around
  let failures = 0
  while (!signal.aborted) {
    const wait = Math.min(REPORT_INTERVAL_MS * 2 ** failures, MAX_BACKOFF_MS)
    await sleep(wait, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const problem = await reportOnce(around)
    if (problem === null) failures = 0
    else {
      // Once, and not again for as long as it lasts.
      if (failures === 0) log('warn', 'signals_not_reported', { detail: problem })
      failures = Math.min(failures + 1, 10)
    }
  }
}

/**
 * Tells all that waits. A report that the coordinator can't take is left out, so that it holds up no other.
 *
 * @returns what went wrong, or null
 */
export async function reportOnce({ client, store, signal }: Surroundings): Promise<string | null> {
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
      // Otherwise they would be told again and again.
      if (!store.taken(waiting)) return 'what was told can not be forgotten'
      if (waiting.length < most) return null
      most = BATCH_SIZE
    }
  } catch (error) {
    return signal.aborted ? null : messageOf(error)
  }
}
