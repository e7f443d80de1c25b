/** Whether Temporal sees this worker's polls: the SDK repeats failing ones without end, and does not report them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NativeConnection } from '@temporalio/worker'
import { messageOf } from '../../shared/log.ts'

/** How often it is asked, and how long an answer may take, in milliseconds. */
const CHECK_INTERVAL_MS = 30_000
const CHECK_TIMEOUT_MS = 5000
/** A poll lasts a minute at most, and clocks may differ a little: who was not seen for longer does not poll. Milliseconds. */
const SEEN_WITHIN_MS = 150_000
/** Of temporal.api.enums.v1, `TaskQueueType`. */
const ACTIVITY = 2
const WORKFLOW = 1

/** The polls that are expected. */
export interface ExpectedPolls {
  namespace: string
  /** One of the queues: all are polled over one connection, with the same rights. */
  queue: string
  takesActivities: boolean
  identity: string
}

type Service = Pick<NativeConnection, 'withDeadline' | 'workflowService'>

/**
 * Asks now and then until the signal aborts.
 *
 * @param current the connection in use
 * @param note called after each check with the problem; null when there is none
 */
export async function watchPolls(
  current: () => Service,
  polls: ExpectedPolls,
  note: (problem: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  const began = Date.now()
  while (!signal.aborted) {
    await sleep(CHECK_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const problem = await pollProblem(current(), polls, began, Date.now())
    if (!signal.aborted) note(problem)
  }
}

/**
 * Why polls can't be relied on; null when they are seen, or not yet to be expected.
 *
 * @param began when they did, @param now both in milliseconds since the epoch
 */
export async function pollProblem(
  connection: Service,
  { namespace, queue, takesActivities, identity }: ExpectedPolls,
  began: number,
  now: number,
): Promise<string | null> {
  try {
    const { pollers } = await connection.withDeadline(Date.now() + CHECK_TIMEOUT_MS, () =>
      connection.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: queue },
        taskQueueType: takesActivities ? ACTIVITY : WORKFLOW,
      }),
    )
    const own = (pollers ?? []).filter((poller) => poller.identity === identity)
    const seenAt = Math.max(began, ...own.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000))
    if (now - seenAt < SEEN_WITHIN_MS) return null
    return `Temporal has seen no poll of ${queue} since ${new Date(seenAt).toISOString()}: polls fail`
  } catch (error) {
    return `it is unknown whether ${queue} is polled: ${messageOf(error)}`
  }
}
