/**
 * `resile/workflow`: what a remediation workflow is written with. A convenience, never a must: any Temporal workflow
 * that takes `(input, run)` will do.
 *
 * Runs inside Temporal's workflow sandbox, so it must stay deterministic and import no Node module.
 */
export type {
  BundleEntry,
  BundleReport,
  BundleRequest,
  CheckRequest,
  CheckResult,
  CommandDescription,
  CommandRequest,
  CommandResult,
  Diagnostics,
  DiskRoom,
  FreeDiskReport,
  FreeDiskRequest,
  PoolChange,
  PoolLookup,
  PoolRequest,
  PoolServer,
  PoolState,
  RebootRequest,
  RebootResult,
  TestRevisionReport,
  TestRevisionRequest,
} from './activities.ts'
export { type Undo, type Undone, undoingOnFailure, withEvidence } from './compensation.ts'
export { milliseconds } from './duration.ts'
export { fail, failureType, failWithDiagnostics, isHostUnreachable, runOrFail } from './failure.ts'
export { foundBy, type HealthReport, type Patience, untilHealthy } from './health.ts'
export {
  bundleDiagnostics,
  checkHttp,
  collectDiagnostics,
  describeCommand,
  freeDisk,
  type HostActivities,
  isOutcomeUnknown,
  loadBalancer,
  rebootHost,
  runCommand,
  testRevision,
} from './host.ts'
export {
  bringBack,
  type DrainReport,
  drainPreview,
  type PoolInput,
  stayOut,
  type TargetPool,
  targetPool,
} from './pool.ts'
export type { Run } from './run.ts'
