/**
 * The detector daemon's own program: does what its plan says. It doesn't load the readers of configuration files, so that
 * it costs its host little.
 */
import { dirname } from 'node:path'
import { log, messageOf } from '../../shared/log.ts'
import { takePlan } from '../process/become.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { ignoreHangups } from '../process/hangups.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { endWithParent } from '../process/parent-watch.ts'
import { runReloadable } from '../process/reloadable.ts'
import { stopSignal } from '../process/stop-signal.ts'
import type { DetectorPlan } from './become-detector.ts'
import { runDetectors } from './daemon.ts'

const [planFile = ''] = process.argv.slice(2)
if (planFile !== '--warm') await main(planFile)

async function main(file: string): Promise<void> {
  endWithParent()
  ignoreHangups()
  const signal = stopSignal(['SIGINT', 'SIGTERM'])
  try {
    const plan = (await takePlan(file)) as DetectorPlan
    // Two of them would each have a separate episode of the same condition.
    const data = dirname(plan.stateFile)
    await lockOrFail(data, 'detector', plan.directory)
    const run = (now: DetectorPlan, until: AbortSignal, onStarted: () => void): Promise<void> =>
      runDetectors({ ...now, signal: until, onStarted })
    await runReloadable(plan, { data, signal, run })
  } catch (error) {
    if (error instanceof CommandError) {
      console.error(`resile: ${error.message}`)
      process.exit(error.exitCode)
    }
    log('error', 'detector_failed', { detail: messageOf(error) })
    process.exit(EXIT.failed)
  }
  process.exit(EXIT.ok)
}
