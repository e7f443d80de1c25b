/**
 * A worker's own program: does what its plan says. It loads neither the readers of configuration files nor the bundler,
 * so that an idle worker costs its host little.
 */
import type { EventName } from '../../shared/events.ts'
import { log, messageOf } from '../../shared/log.ts'
import { takePlan } from '../process/become.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { ignoreHangups } from '../process/hangups.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { endWithParent } from '../process/parent-watch.ts'
import { runReloadable } from '../process/reloadable.ts'
import { stopSignal } from '../process/stop-signal.ts'
import { runWorker } from './run.ts'
import type { WorkerPlan } from './worker-run.ts'

/** From the order to stop until the process ends whatever still holds it, in milliseconds. */
const MAX_DRAIN_MS = 14_000

const activities = { running: 0 }

const [planFile] = process.argv.slice(2)
if (planFile !== '--warm') await main(planFile)

async function main(file: string | undefined): Promise<void> {
  endWithParent()
  ignoreHangups()
  const signal = stopSignal(['SIGINT', 'SIGTERM'])
  const plan = (await takePlan(file)) as WorkerPlan
  const { node } = plan.config
  signal.addEventListener(
    'abort',
    () => {
      setTimeout(() => fail('worker_not_drained', node, 'exiting with work still running'), MAX_DRAIN_MS).unref()
    },
    { once: true },
  )
  try {
    // One that keeps nothing on the host can't get in another's way, and may not write a lock.
    if (plan.activities) await lockOrFail(plan.data, `worker of ${node}`, plan.directory)
    if (plan.activities) await runReloadable(plan, { data: plan.data, signal, run: serve, refusal, isIdle })
    else await serveConfined(plan, signal)
  } catch (error) {
    if (error instanceof CommandError) {
      console.error(`resile: ${error.message}`)
      process.exit(error.exitCode)
    }
    fail('worker_failed', node, messageOf(error))
  }
  // Nothing that is left may keep a worker alive that serves nothing.
  process.exit(EXIT.ok)
}

function serve(plan: WorkerPlan, signal: AbortSignal, onStarted: () => void): Promise<void> {
  const onActivity = (change: 1 | -1): void => {
    activities.running += change
  }
  return runWorker({ ...plan, signal, onStarted, onActivity })
}

/** It may neither read files beyond the program nor start the command that does. */
async function serveConfined(plan: WorkerPlan, signal: AbortSignal): Promise<void> {
  process.on('SIGHUP', () => {
    log('error', 'config_not_reloaded', { detail: 'a worker without activities must be restarted instead' })
  })
  await serve(plan, signal, () => undefined)
}

/** What an activity does on the host must not be broken off for another configuration. */
function isIdle(): boolean {
  return activities.running === 0
}

/** Another node's data would have to be locked, and this one's worker to be drained. */
function refusal(next: WorkerPlan, current: WorkerPlan): string | null {
  return next.data === current.data ? null : 'node or datacenter has changed, which needs a restart'
}

function fail(event: EventName, node: string, detail: string): never {
  log('error', event, { node, detail })
  process.exit(EXIT.failed)
}
