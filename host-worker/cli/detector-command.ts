import { join, resolve } from 'node:path'
import { isPushed } from '../../shared/config.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import { becomeDetector, type DetectorPlan } from '../detector/become-detector.ts'
import { CannotStart, runOnce } from '../detector/daemon.ts'
import { type Explanation, explainDetectors } from '../detector/explain.ts'
import { StateUnreadable } from '../detector/store.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { planSource } from '../process/reloadable.ts'
import { stopSignal } from '../process/stop-signal.ts'
import { type CoordinatorOptions, coordinatorAddress, dataDirectory } from './coordinator-address.ts'
import { explanationText } from './tables.ts'

interface DetectorOptions extends CoordinatorOptions {
  once: boolean
  explain: boolean
  json: boolean
  metrics?: string | undefined
  only?: string[]
  overlay?: string
  printPlan: boolean
}

/** `resile detector` */
export async function detector(options: DetectorOptions): Promise<void> {
  if (options.json && !options.explain) throw new CommandError('--json goes with --explain', EXIT.usage)
  const overlays = options.overlay === undefined ? [] : [options.overlay]
  const { detectors: all, dir } = await loadOrFail(options.project, { development: true, host: true, overlays })
  const detectors = pick(all, options.only ?? [])
  const state = join(resolve(dataDirectory(options)), 'detector')
  const stateFile = join(state, 'state.sqlite')
  if (options.explain) {
    const coordinator = await coordinatorAddress(options).catch((error: unknown) => {
      // None runs here: what it would say is left out. An address that is none is a mistake.
      if (error instanceof CommandError && error.exitCode === EXIT.unreachable) return null
      throw error
    })
    const explaining = explainDetectors({ detectors, coordinator, directory: dir, stateFile })
    const explanations = await explaining.catch((error: unknown) => {
      throw error instanceof StateUnreadable ? new CommandError(error.message) : error
    })
    process.stdout.write(options.json ? `${JSON.stringify({ items: explanations }, null, 2)}\n` : shown(explanations))
    if (explanations.some(({ sees }) => sees === 'unknown')) process.exitCode = EXIT.failed
    return
  }
  const watched = Object.fromEntries(Object.entries(detectors).filter(([, one]) => !isPushed(one)))
  if (Object.keys(watched).length === 0) {
    throw new CommandError('detectors.hcl has no detector that is watched here: there is nothing to do')
  }
  const plan: DetectorPlan = {
    detectors: watched,
    coordinator: await coordinatorAddress(options),
    directory: dir,
    stateFile,
    metrics: options.metrics ?? null,
    source: planSource(),
  }
  if (options.printPlan) {
    process.stdout.write(JSON.stringify(plan))
    return
  }
  const signal = stopSignal()
  if (!options.once) {
    await becomeDetector(plan, signal)
    return
  }
  // One that polls while a daemon runs would have a separate episode of the same condition.
  const lock = await lockOrFail(state, 'detector', dir)
  try {
    if ((await runOnce({ ...plan, signal })) > 0) process.exitCode = EXIT.failed
  } catch (error) {
    throw error instanceof CannotStart ? new CommandError(error.message) : error
  } finally {
    lock.release()
  }
}

function pick<Detector>(all: Record<string, Detector>, only: readonly string[]): Record<string, Detector> {
  if (only.length === 0) return all
  const unknown = only.find((name) => !Object.hasOwn(all, name))
  if (unknown !== undefined) {
    throw new CommandError(
      `no such detector: ${unknown} (there are: ${Object.keys(all).join(', ') || 'none'})`,
      EXIT.usage,
    )
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => only.includes(name)))
}

function shown(explanations: readonly Explanation[]): string {
  return explanations.length === 0 ? 'no detectors\n' : `${explanations.map(explanationText).join('\n')}\n`
}
