/** Lets an activity change the host only under a permit. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import QuickLRU from 'quick-lru'
import { log, messageOf } from '../../../shared/log.ts'
import { decodePayload } from '../../../shared/payload.ts'
import { PERMIT_REFUSED, type Permit, type PermitRefusal } from '../../../shared/permit.ts'
import { ChangeDeferred, type FirstChange } from './clearance.ts'
import { isFinal } from './final-failure.ts'
import type { PermitKeyStore } from './key-store.ts'
import { fromProto, type ProtoPayload } from './proto-payload.ts'
import { PermitRefused } from './refused.ts'
import type { RunId, RunRecord } from './run-record.ts'
import {
  type CommandBinding,
  checkCommand,
  checkExecution,
  checkPlace,
  keyIdOf,
  type PermitHost,
  readPermit,
} from './verify.ts'

/** Asked before a host is changed. */
export interface PermitGate {
  /**
   * Resolves when the running activity holds a valid permit for this host.
   *
   * @returns the execution that the permit is for, and until when (milliseconds since the epoch) the change may wait for
   *   others: the rest of its `valid_for`; for a later step of the execution, as long again
   * @throws ApplicationFailure `PermitRefused` and `JournalUnavailable`, not retried; `PermitUnverified` when it could not
   *   be checked; `HostFrozen` and `OverLimit` while it may not be made
   */
  check(scope?: ChangeScope): Promise<PermittedChange>
}

/** A change that may be made. */
export interface PermittedChange {
  execution: string
  waitsUntil: number
}

/** What is about to be changed, and by what. */
export interface ChangeScope {
  /** The node that is changed, when it is not this host: a load balancer takes another one out of use. */
  subject?: string
  /** Present when a command of worker.hcl changes it. */
  binding?: CommandBinding
  /** Whether it has waited since it was last checked: a freeze may have come. */
  hasWaited?: boolean
}

/** What a gate needs. */
export interface PermitGateOptions {
  host: PermitHost
  keys: Pick<PermitKeyStore, 'find'>
  /** What Temporal recorded of a run. */
  readRun: (run: RunId) => Promise<RunRecord>
  /** Told of every refusal. */
  onRefused: (reason: PermitRefusal, execution: string) => void
  /** Whether an execution has begun to change anything from here. */
  hasChanged: (execution: string) => boolean
  /** Binds an execution's permit to the run that first uses it; false when that was another. */
  bind: (execution: string, firstRunId: string) => boolean
  /** Asks before the first change of a node for an execution. @throws as {@link checkClearance} does */
  clear: (change: FirstChange) => Promise<void>
}

/** How often, and how soon, a check is tried again that failed for want of an answer; milliseconds. */
const TRIES = { count: 6, pause: 1000 }

/** How soon a change is tried again that may be made later. */
const DEFERRED_RETRY = '5s'
/** Headers of the activities in progress, which the SDK shows to interceptors only. */
const headersOf = new WeakMap<Context, Headers>()
type Headers = Record<string, ProtoPayload>

/** Keeps an activity's headers for {@link PermitGate.check}. */
export const keepHeaders: ActivityInterceptorsFactory = (context) => ({
  inbound: {
    execute(input, next) {
      headersOf.set(context, input.headers)
      return next(input)
    },
  },
})

/** Makes the gate of a host's worker. */
export function permitGate(options: PermitGateOptions): PermitGate {
  /** Runs that have begun to change a node from here. */
  const begun = new QuickLRU<string, true>({ maxSize: 1000 })

  /** What has begun on a node may be brought to its end there: half a remediation is worse than none. */
  async function clearFirst(permit: Permit, record: RunRecord, { subject, hasWaited }: ChangeScope): Promise<void> {
    const { datacenter, node: self } = options.host
    const node = subject ?? self
    const { firstRunId, runId } = record
    const key = `${permit.sub} ${runId} ${node}`
    // A later run may be a reset, which nobody but the coordinator can tell from one that goes on.
    const hasBegun = node === self && runId === firstRunId && options.hasChanged(permit.sub)
    if (hasBegun || (begun.has(key) && hasWaited !== true)) return
    await options.clear({ execution: permit.sub, workflow: permit.workflow, datacenter, node, firstRunId })
    begun.set(key, true)
  }

  async function verify(context: Context, scope: ChangeScope): Promise<PermittedChange> {
    const { subject, binding } = scope
    const { workflowExecution } = context.info
    if (workflowExecution === undefined) throw new PermitRefused('missing', 'no workflow asks for it')
    if (context.info.isLocal)
      throw new PermitRefused('missing', 'a local activity has no permit: schedule it as an activity')
    const token = tokenOf(context)
    if (token === null) throw new PermitRefused('missing', 'no coordinator admitted this execution: it has no permit')
    const key = await options.keys.find(keyIdOf(token))
    if (key === null) throw new KeyUnknown()
    const permit = await readPermit(token, key)
    checkPlace(permit, options.host, Date.now(), subject)
    if (binding !== undefined) checkCommand(permit, binding)
    const record = await options.readRun(workflowExecution)
    await checkExecution(permit, record)
    await clearFirst(permit, record, scope)
    if (!options.bind(permit.sub, record.firstRunId)) {
      throw new PermitRefused('wrong_workflow', 'the permit was used by an earlier execution with this id')
    }
    return { execution: permit.sub, waitsUntil: waitsUntil(permit, context.info.scheduledTimestampMs) }
  }

  return {
    async check(scope = {}) {
      const context = Context.current()
      try {
        return await patiently(() => verify(context, scope), context.cancellationSignal)
      } catch (thrown) {
        const error =
          thrown instanceof KeyUnknown
            ? new PermitRefused(
                'bad_signature',
                'the permit is signed with a key that belongs to no trusted coordinator',
              )
            : thrown
        const { activityType, workflowExecution, workflowType } = context.info
        const facts = { activity: activityType, execution: workflowExecution?.workflowId, workflow_type: workflowType }
        if (error instanceof PermitRefused) {
          options.onRefused(error.reason, workflowExecution?.workflowId ?? '')
          log('warn', 'permit_refused', { ...facts, reason: error.reason, detail: error.message })
          const message = `permit refused on ${options.host.node} (${error.reason}): ${error.message}`
          throw ApplicationFailure.create({
            type: PERMIT_REFUSED,
            message,
            nonRetryable: true,
            details: [{ reason: error.reason }],
          })
        }
        // Said already, as by a journal that takes nothing.
        if (isFinal(error)) throw error
        if (error instanceof ChangeDeferred) {
          log('warn', 'change_deferred', { ...facts, reason: error.type, detail: error.message })
          const { type, message } = error
          throw ApplicationFailure.create({ type, message, nonRetryable: false, nextRetryDelay: DEFERRED_RETRY })
        }
        log('error', 'permit_unverified', { ...facts, detail: messageOf(error) })
        throw ApplicationFailure.retryable(`the permit could not be checked: ${messageOf(error)}`, 'PermitUnverified')
      }
    },
  }
}

/** When a change that was ordered at some time no longer waits for its turn, in milliseconds since the epoch. */
function waitsUntil({ iat, begin_by }: Permit, orderedAt: number): number {
  const beginBy = begin_by * 1000
  return orderedAt <= beginBy ? beginBy : orderedAt + beginBy - iat * 1000
}

/** The key is unknown: it may be so new that not every part of a coordinator knows it yet. */
class KeyUnknown extends Error {}

/** The permit among an activity's headers; null when there is none. */
function tokenOf(context: Context): string | null {
  const payload = headersOf.get(context)?.resile
  if (payload === undefined) return null
  const header = decodePayload(fromProto(payload)) as { permit?: unknown } | null
  return typeof header?.permit === 'string' ? header.permit : null
}

/** Tries again what failed for any other reason than a refusal: Temporal or a coordinator may be away for a moment. */
async function patiently<Result>(attempt: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      const isDecided = error instanceof PermitRefused || error instanceof ChangeDeferred || isFinal(error)
      if (isDecided || tries === TRIES.count || signal.aborted) throw error
      await sleep(TRIES.pause, undefined, { signal })
    }
  }
}
