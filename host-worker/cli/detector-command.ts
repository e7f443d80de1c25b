import { join } from 'node:path'
import { runDetectors } from '../detector/run-detectors.ts'
import { type CoordinatorOptions, coordinatorAddress, dataDirectory } from './coordinator-address.ts'
import { CommandError } from './exit-codes.ts'
import { loadOrFail } from './load-or-fail.ts'
import { stopSignal } from './stop-signal.ts'

/** `resile detector` */
export async function detector(options: CoordinatorOptions & { overlay?: string }): Promise<void> {
  const overlays = options.overlay === undefined ? [] : [options.overlay]
  const { detectors } = await loadOrFail(options.project, { development: true, overlays })
  if (Object.keys(detectors).length === 0)
    throw new CommandError('detectors.hcl has no detector: there is nothing to watch')
  await runDetectors({
    detectors,
    coordinator: await coordinatorAddress(options),
    stateFile: join(dataDirectory(options), 'episodes.json'),
    signal: stopSignal(),
  })
}
