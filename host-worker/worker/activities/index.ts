import type { HostActivities } from '../../../workflows/sdk/index.ts'
import { heartbeating } from '../journal/activity-heartbeat.ts'
import { type CheckHost, checkHttpActivity } from './check-http.ts'
import { bundleDiagnosticsActivity, type DiagnosticsHost } from './diagnostics/bundle-diagnostics.ts'
import { collectDiagnosticsActivity } from './diagnostics/collect-diagnostics.ts'
import { type DiskHost, freeDiskActivity } from './free-disk/activity.ts'
import { limitConcurrency } from './limit-concurrency.ts'
import { type PoolHost, poolActivities } from './load-balancer/activities.ts'
import { rebootHostActivity } from './reboot-host.ts'
import { describeCommandActivity, runCommandActivity } from './run-command.ts'
import { type TestHost, testRevisionActivity } from './test-revision/activity.ts'

/** A host with all that its activities need. */
export type ActivityHost = CheckHost & PoolHost & DiagnosticsHost & DiskHost & TestHost

/** The activities that a host's worker registers; each heartbeats. */
export function hostActivities(host: ActivityHost): HostActivities {
  const collectDiagnostics = collectDiagnosticsActivity(host.node)
  const activities = {
    runCommand: runCommandActivity(host),
    describeCommand: describeCommandActivity(host),
    rebootHost: rebootHostActivity(host),
    checkHttp: checkHttpActivity(host),
    ...poolActivities(host),
    freeDisk: freeDiskActivity(host),
    testRevision: testRevisionActivity(host),
    collectDiagnostics,
    bundleDiagnostics: bundleDiagnosticsActivity(host, collectDiagnostics),
  }
  return heartbeating(limitConcurrency(host.node, activities))
}
