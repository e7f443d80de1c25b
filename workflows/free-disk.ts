/** Frees space on a host's disk by a configured rule, and proves it. */
import { type DiskRoom, type FreeDiskReport, fail, type Run, freeDisk as removeByRule } from 'resile/workflow'

/** The input, declared for triggers in free-disk.hcl. */
export interface Input {
  /** Name of a rule, as the host's worker.hcl has its `free_disk`. */
  rule: string
  /** Stops on each file system once this part of it is free, and fails when it isn't in the end; in percent. */
  until_free_percent?: number
  /** Says what it would remove, and does nothing. */
  dry_run?: boolean
}

/** The result. */
export type Result = FreeDiskReport & { dry_run: boolean }

/**
 * Remove by rule, verify. What is removed can't be brought back, so the rule is the host's and not the trigger's.
 *
 * @throws ApplicationFailure `NotEnoughFreed` with the report in `details[0]`
 */
export async function freeDisk(input: Input, run: Run): Promise<Result> {
  const { rule, until_free_percent: required, dry_run: dryRun = false } = input
  const limit = required === undefined ? {} : { untilFreePercent: required }
  const report = await removeByRule({ rule, dryRun, ...limit })
  if (dryRun) return { dry_run: true, ...report }
  const problem = shortfall(report, required)
  if (problem === null) return { dry_run: false, ...report }
  return fail('NotEnoughFreed', `rule ${rule} on ${run.target.node ?? run.datacenter}: ${problem}`, { report })
}

/** Why it did not help; null when it did. */
function shortfall(report: FreeDiskReport, required: number | undefined): string | null {
  const { files, errors, fileSystems = [report] } = report
  const full = fileSystems.find((disk) => required !== undefined && disk.after.freePercent < required)
  if (full !== undefined) return `${describe(full.after)}, ${required} % were required`
  if (required === undefined && files === 0)
    return `nothing could be removed${errors.length > 0 ? `: ${errors[0]}` : ''}`
  return null
}

function describe({ path, freePercent }: DiskRoom): string {
  return `${freePercent} % are free on the file system of ${path}`
}
