import type { HostActivities } from '../../workflows/sdk/index.ts'
import { checkHttp } from './check-http.ts'
import { collectDiagnosticsActivity } from './collect-diagnostics.ts'
import { heartbeating } from './heartbeating.ts'
import { type PoolHost, poolActivities } from './pool.ts'
import { rebootHostActivity } from './reboot-host.ts'
import { describeCommandActivity, runCommandActivity } from './run-command.ts'

/** The activities that a host's worker registers; each heartbeats. */
export function hostActivities(host: PoolHost): HostActivities {
  return heartbeating({
    runCommand: runCommandActivity(host),
    describeCommand: describeCommandActivity(host),
    rebootHost: rebootHostActivity(host),
    checkHttp,
    ...poolActivities(host),
    collectDiagnostics: collectDiagnosticsActivity(host.node),
  })
}
