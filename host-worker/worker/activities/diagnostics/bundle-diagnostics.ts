import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import type { DiagnosticsConfig } from '../../../../shared/config.ts'
import { isName } from '../../../../shared/names.ts'
import type { BundleReport, BundleRequest, Diagnostics } from '../../../../workflows/sdk/activities.ts'
import { type CommandHost, execute, resolveCommand } from '../run-command.ts'
import { type BundleSource, previewBundle, writeBundle } from './bundle.ts'

/** A host that bundles its diagnostics. */
export interface DiagnosticsHost extends CommandHost {
  diagnostics: DiagnosticsConfig | null
  /** Where the host keeps what is its own. */
  data: string
}

/**
 * The activity `bundleDiagnostics`. It changes nothing but Resile's own data, so it needs no permit; what it runs is
 * `read_only`.
 *
 * @throws ApplicationFailure, not retried: `DiagnosticsNotAllowed`
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
    const source: BundleSource = {
      config,
      directory: join(host.data, 'bundles'),
      id: fileNameOf(Context.current().info.workflowExecution?.workflowId ?? 'bundle'),
      run: (name) => say(host, name),
      summary,
    }
    return request?.dryRun ? previewBundle(source) : writeBundle(source)
  }
}

/** Whoever may start workflows without the coordinator chooses their ids: none of them leads to another directory. */
function fileNameOf(workflowId: string): string {
  return isName(workflowId) ? workflowId : createHash('sha256').update(workflowId).digest('hex')
}

async function say(host: DiagnosticsHost, name: string): Promise<string> {
  const resolved = resolveCommand(host, { name })
  if (!resolved.command.read_only) throw new Error(`command ${name} is not read_only`)
  const { exitCode, stdout, stderr } = await execute(host, resolved)
  return [stdout, ...(stderr === '' ? [] : [`--- stderr`, stderr]), `--- exit code ${exitCode}`].join('\n')
}
