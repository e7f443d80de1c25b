/** A worker's task queues, from the start of their polls to the end of the last task. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker, WorkerOptions } from '@temporalio/worker'
import { RELOADED } from '../process/reloadable.ts'
import type { StoredBundle } from './bundle-store.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Readiness } from './readiness.ts'

/**
 * From the signal to stop until the coordinator must know of it (in milliseconds); from then until activities are
 * cancelled, and until the process no longer waits for them.
 */
const SHUTDOWN = { announceTime: 1500, graceTime: '3s', forceTime: '10s' } as const

/** Serves until stopped, or until one of the queues fails: then all are shut down, and its error is thrown. */
export async function serveQueues(
  workers: readonly Worker[],
  heartbeat: Heartbeat,
  readiness: Readiness,
  signal: AbortSignal,
): Promise<void> {
  const stop = async (): Promise<void> => {
    readiness.note('queues', 'the worker is stopping')
    // First no new work, then the end: running activities get their grace time. A coordinator that can't be reached is
    // not waited for; one that is to send more work in a moment is not told.
    if (signal.reason !== RELOADED) await Promise.race([heartbeat.drain(), sleep(SHUTDOWN.announceTime)])
    for (const worker of workers) {
      if (worker.getState() === 'RUNNING') worker.shutdown()
    }
  }
  let stopping: Promise<void> | undefined
  const stopOnce = (): void => {
    stopping ??= stop()
  }
  const running = workers.map((worker) => worker.run())
  readiness.note('queues', null)
  const heartbeats = heartbeat.run()
  if (signal.aborted) stopOnce()
  signal.addEventListener('abort', stopOnce, { once: true })
  for (const run of running) run.catch(stopOnce)
  const outcomes = await Promise.allSettled(running)
  heartbeat.stop()
  await Promise.all([heartbeats, stopping])
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Settings of one queue's worker; with a bundle it takes workflow tasks too. */
export function queueOptions(bundle: StoredBundle | null): Partial<WorkerOptions> {
  const one = { type: 'simple-maximum', maximum: 1 } as const
  return {
    // The older `maxConcurrent…Polls` options are ignored by the SDK; idle long polls are what a large fleet pays for.
    activityTaskPollerBehavior: one,
    // Many more than run at the same time: the others wait here, where it can be seen, and not in the queue.
    maxConcurrentActivityTaskExecutions: 1000,
    // A cancellation reaches a command with its next heartbeat.
    maxHeartbeatThrottleInterval: '2s',
    defaultHeartbeatThrottleInterval: '2s',
    shutdownGraceTime: SHUTDOWN.graceTime,
    shutdownForceTime: SHUTDOWN.forceTime,
    ...(bundle === null
      ? {}
      : {
          workflowBundle: { codePath: bundle.file },
          workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
          maxCachedWorkflows: 100,
        }),
  }
}
