import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import type { FreeDiskRule } from '../../../../shared/config.ts'
import type { FreeDiskReport, FreeDiskRequest } from '../../../../workflows/sdk/activities.ts'
import { type ChangeHost, carryOut } from '../../journal/run-once.ts'
import { freeDisk } from './free-disk.ts'

/** A host whose disks may be freed. */
export interface DiskHost extends ChangeHost {
  freeDisk: Readonly<Record<string, FreeDiskRule>>
}

/**
 * The activity `freeDisk`. What is cut off may be done again: it goes on with what is left.
 *
 * @throws ApplicationFailure, not retried: `RuleNotAllowed`, `InvalidParams`, and those of {@link carryOut}
 */
export function freeDiskActivity(host: DiskHost): (request: FreeDiskRequest) => Promise<FreeDiskReport> {
  return async ({ rule: name, untilFreePercent = null, dryRun = false }) => {
    const rule = Object.hasOwn(host.freeDisk, name) ? host.freeDisk[name] : undefined
    if (rule === undefined) {
      throw ApplicationFailure.nonRetryable(`${host.node} has no free_disk ${JSON.stringify(name)}`, 'RuleNotAllowed')
    }
    if (untilFreePercent !== null && !(untilFreePercent > 0 && untilFreePercent <= 100)) {
      throw ApplicationFailure.nonRetryable('untilFreePercent must be above 0, at most 100', 'InvalidParams')
    }
    const { cancellationSignal: signal } = Context.current()
    const effect = (): Promise<FreeDiskReport> => freeDisk({ rule, now: Date.now(), untilFreePercent, dryRun, signal })
    if (dryRun) return effect()
    return carryOut(host, { what: `free disk by rule ${name}`, repeatable: true, effect })
  }
}
