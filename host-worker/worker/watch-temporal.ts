/** Whether Temporal answers: the SDK polls without end and does not report that there is no answer. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NativeConnection } from '@temporalio/worker'
import { messageOf } from '../../shared/log.ts'
import { untilAborted } from '../process/stop-signal.ts'

/** How often it is asked, and how long an answer may take, in milliseconds. */
const CHECK_INTERVAL_MS = 10_000
const CHECK_TIMEOUT_MS = 5000

/**
 * Asks now and then until the signal aborts.
 *
 * @param current the connection in use
 * @param note called after each check with the problem; null when there is none
 */
export async function watchTemporal(
  current: () => Pick<NativeConnection, 'withDeadline' | 'workflowService'>,
  note: (problem: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  const stopped = untilAborted(signal).then(() => undefined)
  while (!signal.aborted) {
    const connection = current()
    const answered = connection
      .withDeadline(Date.now() + CHECK_TIMEOUT_MS, () => connection.workflowService.getSystemInfo({}))
      .then(() => null, messageOf)
    const problem = await Promise.race([answered, stopped])
    if (problem === undefined) return
    note(problem)
    await sleep(CHECK_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }
}
