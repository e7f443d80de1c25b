import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import type { DiagnosticsConfig } from '../../../../shared/config.ts'
import type { BundleReport, BundleRequest, Diagnostics } from '../../../../workflows/sdk/activities.ts'
import { isCut } from '../../../process/run-process.ts'
import { keyOf } from '../../journal/journal.ts'
import { currentOrder } from '../../journal/run-once.ts'
import type { PermitGate } from '../../permits/gate.ts'
import { type CommandHost, execute, resolveCommand } from '../run-command.ts'
import { type PartText, previewBundle, writeBundle } from './bundle.ts'

/** A host that bundles its diagnostics. */
export interface DiagnosticsHost extends CommandHost {
  diagnostics: DiagnosticsConfig | null
  /** Where the host keeps what is its own. */
  data: string
}

/**
 * The activity `bundleDiagnostics`. What it runs is `read_only`, but a bundle fills the disk and takes the place of the
 * oldest, so it needs a permit. It changes nothing that others work on, so it excludes no other change.
 *
 * @throws ApplicationFailure, not retried: `DiagnosticsNotAllowed`, and those of {@link PermitGate.check}
 */
export function bundleDiagnosticsActivity(
  host: DiagnosticsHost,
  summary: () => Promise<Diagnostics>,
): (request: BundleRequest) => Promise<BundleReport> {
  return async (request) => {
    const { diagnostics: config } = host
    if (config === null) {
      throw ApplicationFailure.nonRetryable(`${host.node} has no diagnostics block`, 'DiagnosticsNotAllowed')
    }
    const source = { config, run: (name: string, most: number) => say(host, name, most), summary }
    if (request?.dryRun) return previewBundle(source)
    const { execution } = await host.permits.check()
    return writeBundle({ ...source, directory: join(host.data, 'bundles'), id: bundleId(execution) })
  }
}

/** An execution may write several; an attempt that is made again takes the place of the one before. */
function bundleId(execution: string): string {
  return `${execution}-${createHash('sha256').update(keyOf(currentOrder())).digest('hex').slice(0, 12)}`
}

async function say(host: DiagnosticsHost, name: string, most: number): Promise<PartText> {
  const resolved = resolveCommand(host, { name })
  if (!resolved.command.read_only) throw new Error(`command ${name} is not read_only`)
  const { exitCode, stdout, stderr } = await execute(host, resolved, { maxOutputBytes: most, keeps: 'tail' })
  const lines = [stdout, ...(stderr === '' ? [] : [`--- stderr`, stderr]), `--- exit code ${exitCode}`]
  return { text: lines.join('\n'), cut: isCut(stdout) || isCut(stderr) }
}
