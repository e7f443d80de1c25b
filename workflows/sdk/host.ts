/** The activities of a host, as a workflow calls them. */
import {
  ActivityCancellationType,
  ActivityFailure,
  type ActivityOptions,
  ApplicationFailure,
  proxyActivities,
  TimeoutFailure,
} from '@temporalio/workflow'
import { OUTCOME_UNKNOWN } from '../../shared/failure-types.ts'
import type {
  BundleReport,
  BundleRequest,
  CheckRequest,
  CheckResult,
  CommandDescription,
  CommandRequest,
  CommandResult,
  Diagnostics,
  FreeDiskReport,
  FreeDiskRequest,
  PoolChange,
  PoolLookup,
  PoolRequest,
  PoolState,
  RebootRequest,
  RebootResult,
  TestRevisionReport,
  TestRevisionRequest,
} from './activities.ts'
import { milliseconds } from './duration.ts'

/** The activities of a host, by the names that its worker registers them under. */
export interface HostActivities {
  runCommand(request: CommandRequest): Promise<CommandResult>
  describeCommand(request: CommandRequest): Promise<CommandDescription>
  rebootHost(request: RebootRequest): Promise<RebootResult>
  checkHttp(request: CheckRequest): Promise<CheckResult>
  collectDiagnostics(): Promise<Diagnostics>
  bundleDiagnostics(request: BundleRequest): Promise<BundleReport>
  freeDisk(request: FreeDiskRequest): Promise<FreeDiskReport>
  testRevision(request: TestRevisionRequest): Promise<TestRevisionReport>
  /** With `node`, of that server alone. */
  readPool(request: PoolLookup): Promise<PoolState>
  drainServer(request: PoolRequest): Promise<PoolChange>
  returnServer(request: PoolRequest): Promise<PoolChange>
}

/**
 * Options for activities that change a host. The host's journal sees to it that a later attempt doesn't do twice what an
 * earlier one did, so a lost reply may be asked for again. A cancelled workflow waits for their end, so that nothing
 * else is admitted while they still change the host.
 */
const CHANGE: ActivityOptions = {
  startToCloseTimeout: '24h',
  heartbeatTimeout: '15s',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 20 },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

/** Options for activities that only read: they may be repeated at will. */
const LOOK: ActivityOptions = {
  startToCloseTimeout: '2m',
  heartbeatTimeout: '15s',
  scheduleToCloseTimeout: '5m',
  retry: { initialInterval: '500ms', maximumInterval: '5s' },
}

/**
 * Runs one of the host's allow-listed commands. A non-zero exit returns; a command that isn't allowed, parameters that
 * don't fit and a timeout throw. It is never run a second time: see {@link isOutcomeUnknown}.
 */
export const { runCommand } = proxyActivities<HostActivities>(CHANGE)

/** Changes of a host by its own rules; {@link HostActivities} says what each gives. */
export const { freeDisk, testRevision } = proxyActivities<HostActivities>(CHANGE)

/** Writes a bundle on the host's disk; one that is made again takes the place of the first. */
export const { bundleDiagnostics } = proxyActivities<HostActivities>({
  ...LOOK,
  startToCloseTimeout: '15m',
  scheduleToCloseTimeout: '30m',
})

/** Reads only; {@link HostActivities} says what each gives. */
export const { checkHttp, collectDiagnostics, describeCommand } = proxyActivities<HostActivities>(LOOK)

/**
 * Reboots the host, and returns when it has booted and its worker is back.
 *
 * @throws ActivityFailure `CommandFailed`, `NotRebooted`; `host_unreachable` when it doesn't come back in time
 */
export function rebootHost(request: RebootRequest): Promise<RebootResult> {
  const options = { ...CHANGE, scheduleToStartTimeout: milliseconds(request.within) }
  return proxyActivities<HostActivities>(options).rebootHost(request)
}

/** The load balancer's side, done by the hosts of a queue, or by the target itself. */
export function loadBalancer(taskQueue?: string): Pick<HostActivities, 'readPool' | 'drainServer' | 'returnServer'> {
  const place = taskQueue === undefined ? {} : { taskQueue }
  const { readPool } = proxyActivities<HostActivities>({ ...LOOK, ...place })
  const { drainServer, returnServer } = proxyActivities<HostActivities>({ ...CHANGE, ...place })
  return { readPool, drainServer, returnServer }
}

/** Whether an activity was cut off, so that what it did is unknown. */
export function isOutcomeUnknown(error: unknown): boolean {
  // Its host was lost in the middle of it.
  if (error instanceof ApplicationFailure) return error.type === OUTCOME_UNKNOWN
  if (!(error instanceof ActivityFailure)) return false
  const { cause } = error
  return cause instanceof TimeoutFailure || (cause instanceof ApplicationFailure && cause.type === OUTCOME_UNKNOWN)
}
