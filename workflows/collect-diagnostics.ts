/** Collects what an engineer would check first, before it is gone. */
import {
  type BundleReport,
  bundleDiagnostics,
  type Diagnostics,
  fail,
  collectDiagnostics as summarise,
} from 'resile/workflow'

/** The input, declared for triggers in collect-diagnostics.hcl. */
export interface Input {
  /** Says what would be collected, and writes nothing. */
  dry_run?: boolean
}

/** The host's state, and where its bundle is stored. */
export interface Result {
  summary: Diagnostics
  bundle: BundleReport
}

/**
 * Look, and put what the host allows into a bundle on its disk.
 *
 * @throws ApplicationFailure `NothingCollected` when no part of it could be had
 */
export async function collectDiagnostics(input: Input): Promise<Result> {
  const summary = await summarise()
  const bundle = await bundleDiagnostics({ dryRun: input.dry_run === true })
  if (bundle.entries.every(({ error }) => error !== null)) {
    return fail('NothingCollected', 'no part of the bundle could be had', { summary, bundle })
  }
  return { summary, bundle }
}
