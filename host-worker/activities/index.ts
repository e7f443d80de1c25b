import type { HostActivities } from '../../workflows/sdk/index.ts'
import { checkHttp } from './check-http.ts'
import { collectDiagnosticsActivity } from './collect-diagnostics.ts'
import { type CommandHost, runCommandActivity } from './run-command.ts'

/** The activities that a host's worker registers. */
export function hostActivities(host: CommandHost): HostActivities {
  return {
    runCommand: runCommandActivity(host),
    checkHttp,
    collectDiagnostics: collectDiagnosticsActivity(host.node),
  }
}
