/** Looks after a running coordinator from outside: wakes it, and notices when it hangs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CoordinatorClient, CoordinatorUnreachable } from '../net/coordinator-client.ts'

/** How often it is asked how it is, and how long it may take to answer; milliseconds. */
const PROBE_INTERVAL_MS = 10_000
const ANSWER_TIMEOUT_MS = 8000
/** After so many questions in a row without an answer it hangs. */
const MAX_FAILED_PROBES = 3

/**
 * Asks the coordinator how it is until the signal aborts. To be asked makes it set its alarms again, should one be lost:
 * what a cron trigger does at the edge.
 *
 * @param onHung called when it has not answered for a while, and again whenever it has not for as long again
 */
export async function watchCoordinator(socket: string, signal: AbortSignal, onHung: () => void): Promise<void> {
  const client = new CoordinatorClient({ socket })
  let unanswered = 0
  while (!signal.aborted) {
    await sleep(PROBE_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    try {
      await client.request('GET', '/readyz', { timeout: ANSWER_TIMEOUT_MS, signal })
      unanswered = 0
    } catch (error) {
      if (error instanceof CoordinatorUnreachable) unanswered += 1
    }
    if (unanswered < MAX_FAILED_PROBES) continue
    unanswered = 0
    onHung()
  }
  client.close()
}
