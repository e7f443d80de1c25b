/** Carries a change out at most once, however often its order comes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { formatDuration } from '../../../shared/duration.ts'
import type { EventName } from '../../../shared/events.ts'
import { OUTCOME_UNKNOWN } from '../../../shared/failure-types.ts'
import { log, messageOf } from '../../../shared/log.ts'
import { identify, type ProcessIdentity } from '../../process/process-identity.ts'
import { isFinal } from '../permits/final-failure.ts'
import type { ChangeScope, PermitGate } from '../permits/gate.ts'
import { reportBegun, reportWaiting } from './activity-heartbeat.ts'
import { hostBusy, maxWaitOfAttempt } from './host-busy.ts'
import {
  CANCELED,
  type Change,
  ChangeUnderWay,
  type Intent,
  isUnderWay,
  type Journal,
  keyOf,
  type Outcome,
} from './journal.ts'

/** A host that is changed. */
export interface ChangeHost {
  node: string
  permits: PermitGate
  journal: Journal
  /** Differs after each boot. */
  bootId: () => Promise<string>
}

/** A change that lives and dies with the worker. */
export interface LocalChange<Result> extends ChangeScope {
  /** The change, for the reader: `command restart`. */
  what: string
  /** Whether doing it twice is the same as doing it once: then it is done again when it was cut off. */
  repeatable?: boolean
  /** Does it. `hold` names the process that does it, when it isn't the worker itself. */
  effect: (hold: (process: ProcessIdentity) => void) => Promise<Result>
}

/** Between two checks of a change that another process makes. */
const POLL_INTERVAL_MS = 200

/** The changes that this process makes itself, by key. */
const underWay = new Map<string, Promise<Outcome>>()

/**
 * Carries out the change that the running activity orders: its intent is on disk before, its outcome after. An attempt
 * whose change was carried out already returns what came of it; one whose change was cut off does not do it again.
 *
 * @throws ApplicationFailure, not retried: `PermitRefused`, `HostBusy` (another execution's change took too long),
 *   `OutcomeUnknown`, `JournalUnavailable`, and what the effect throws
 * @throws CancelledFailure when the workflow has cancelled it
 */
export async function carryOut<Result>(host: ChangeHost, change: LocalChange<Result>): Promise<Result> {
  const order = currentOrder()
  const key = keyOf(order)
  let outcome = underWay.get(key)
  if (outcome === undefined) {
    outcome = perform(host, change, order).finally(() => underWay.delete(key))
    underWay.set(key, outcome)
  }
  return unwrap(await outcome) as Result
}

/** The order that the running activity carries out, but for the execution, which its permit names. */
export function currentOrder(): Omit<Intent['order'], 'execution'> {
  const { workflowExecution, activityId } = Context.current().info
  if (workflowExecution === undefined) {
    throw ApplicationFailure.nonRetryable('only a workflow can change a host', 'PermitRefused')
  }
  return { ...workflowExecution, activityId }
}

/** A change that is about to begin. Times as in {@link Intent}. */
interface ChangeOrder extends ChangeScope {
  what: string
  order: Omit<Intent['order'], 'execution'>
}

/**
 * Begins a change under a valid permit, as soon as no other change of the node is in progress.
 *
 * @param begin writes it down; called again after each wait
 * @throws ApplicationFailure `HostBusy`, not retried when the others take too long; those of {@link PermitGate.check}
 * @throws CancelledFailure when the workflow has cancelled it
 */
export async function beginWhenFree(
  host: ChangeHost,
  change: ChangeOrder,
  begin: (execution: string, bootId: string, now: number) => Change,
): Promise<Change> {
  const began = Date.now()
  for (let hasWaited = false; ; hasWaited = true) {
    const { execution, waitsUntil } = await host.permits.check({ ...change, hasWaited })
    refuseCancelled(change.what)
    const bootId = await host.bootId()
    try {
      return inJournal(() => begin(execution, bootId, Date.now()))
    } catch (error) {
      if (!(error instanceof ChangeUnderWay)) throw error
    }
    const subject = change.subject ?? host.node
    await untilFree(host, { ...change, order: { ...change.order, execution }, subject }, began, waitsUntil)
  }
}

/** @throws ApplicationFailure `HostBusy`; retried, unless the change must not wait any longer */
async function untilFree(
  { journal, bootId }: ChangeHost,
  { what, ...next }: { what: string; order: Intent['order']; subject: string },
  began: number,
  until: number,
): Promise<void> {
  const { scheduledTimestampMs } = Context.current().info
  const maxWait = maxWaitOfAttempt()
  try {
    for (;;) {
      const other = journal.inTheWay(next, await bootId(), Date.now())
      if (other === null) return
      const reason = `${other.what} of execution ${other.execution} is in progress on ${next.subject}`
      const now = Date.now()
      if (now - began > maxWait && now < until) throw busy(reason, 'its attempt ends soon', true)
      if (now >= until) {
        throw busy(reason, `${what} has waited ${formatDuration(now - scheduledTimestampMs)}`, false)
      }
      reportWaiting(reason)
      await pause()
      refuseCancelled(what)
    }
  } finally {
    reportWaiting(null)
  }
}

function busy(reason: string, why: string, isRetried: boolean): ApplicationFailure {
  return hostBusy(`another change comes first, and ${why}: ${reason}`, isRetried)
}

/**
 * What the journal knows of the running activity's order; null when it has not begun.
 *
 * @throws ApplicationFailure `JournalUnavailable`; `OutcomeUnknown` when an earlier attempt may have begun it
 */
export function lookUp(journal: Journal, key: string, what: string): Change | null {
  if (Context.current().info.attempt === 1) return inJournal(() => journal.find(key))
  try {
    return journal.find(key)
  } catch (error) {
    const message = `${what} may have been begun before, but the host's journal can't be read: ${messageOf(error)}`
    throw ApplicationFailure.nonRetryable(message, OUTCOME_UNKNOWN)
  }
}

/**
 * Runs what reads or writes the journal before anything is changed.
 *
 * @throws ApplicationFailure `JournalUnavailable`
 */
export function inJournal<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (error instanceof ChangeUnderWay) throw error
    throw ApplicationFailure.nonRetryable(
      `nothing was begun, since the host's journal can't be used: ${messageOf(error)}`,
      'JournalUnavailable',
    )
  }
}

/** The result of an outcome, or its failure thrown. */
export function unwrap(outcome: Outcome): unknown {
  if (outcome.kind === 'result') return outcome.result
  const { type, message, details } = outcome
  if (type === CANCELED) throw new CancelledFailure(message)
  throw ApplicationFailure.create({
    type,
    message,
    nonRetryable: true,
    ...(details === undefined ? {} : { details: [details] }),
  })
}

/** Waits a little before the next look. */
export function pause(): Promise<void> {
  return sleep(POLL_INTERVAL_MS)
}

/** Whether the workflow has cancelled the running activity; it may also end with its worker, or by its timeout. */
export function isCancelRequested(): boolean {
  return Context.current().cancellationDetails?.cancelRequested === true
}

/**
 * Lets nothing begin that was cancelled while its permit was checked.
 *
 * @throws CancelledFailure, or ApplicationFailure `WorkerStopped`, which is retried
 */
function refuseCancelled(what: string): void {
  if (!Context.current().cancellationSignal.aborted) return
  const message = `${what} was cancelled before it began`
  throw isCancelRequested() ? new CancelledFailure(message) : ApplicationFailure.retryable(message, 'WorkerStopped')
}

/** The outcome of a change whose end was not observed. */
export function unknownOutcome(what: string): Outcome {
  return { kind: 'failure', type: OUTCOME_UNKNOWN, message: `${what} was cut off; what it did is unknown` }
}

async function perform<Result>(
  host: ChangeHost,
  change: LocalChange<Result>,
  order: Omit<Intent['order'], 'execution'>,
): Promise<Outcome> {
  const { journal } = host
  const key = keyOf(order)
  const earlier = await settled(host, change, key)
  if (earlier !== null) return earlier
  const holder = itself()
  const subject = change.subject ?? host.node
  const { bootId } = await beginWhenFree(host, { ...change, order }, (execution, bootId, now) =>
    journal.begin({ order: { ...order, execution }, subject, what: change.what, bootId, now, until: null, holder }),
  )
  if (change.repeatable !== true) reportBegun()
  try {
    const result = await change.effect((process) =>
      // It runs already. Until it is noted, the worker counts as the one who does it.
      bestEffort(key, 'holder_not_recorded', () => journal.hold(key, process, bootId)),
    )
    return recorded(journal, key, { kind: 'result', result })
  } catch (error) {
    if (change.repeatable && (!isFinal(error) || isCutOff(error))) {
      bestEffort(key, 'change_not_withdrawn', () => journal.withdraw(key))
      throw isCutOff(error) ? ApplicationFailure.retryable(messageOf(error), 'WorkerStopped') : error
    }
    return recorded(journal, key, failureOf(error))
  }
}

/** The outcome of an earlier attempt; null when there was none, or it may be made again. */
async function settled<Result>(host: ChangeHost, change: LocalChange<Result>, key: string): Promise<Outcome | null> {
  const { journal } = host
  const bootId = await host.bootId()
  for (;;) {
    const found = lookUp(journal, key, change.what)
    if (found === null) return null
    if (found.outcome !== null) return found.outcome
    if (!isUnderWay(found, bootId, Date.now())) {
      if (change.repeatable) {
        bestEffort(key, 'change_not_withdrawn', () => journal.withdraw(key))
        return null
      }
      return recorded(journal, key, unknownOutcome(change.what))
    }
    // What ends what the worker before this one has left is on its way.
    await pause()
    refuseCancelled(change.what)
  }
}

/** Writes an outcome down. The change has happened: a journal that fails now must not hide that. */
export function recorded(journal: Journal, key: string, outcome: Outcome): Outcome {
  const end = (): Outcome | null => journal.end(key, outcome, Date.now()).outcome
  return bestEffort(key, 'outcome_not_recorded', end) ?? outcome
}

/** Writes down what has happened already, if the disk takes it; null, and a line in the log, if it doesn't. */
function bestEffort<Result>(key: string, event: EventName, write: () => Result): Result | null {
  try {
    return write()
  } catch (error) {
    log('error', event, { order: key, detail: messageOf(error) })
    return null
  }
}

/** The outcome of a change that ended with an error. */
export function failureOf(error: unknown): Outcome {
  if (error instanceof ApplicationFailure) {
    const details: unknown = error.details?.[0]
    const failure = { kind: 'failure' as const, type: error.type ?? 'Error', message: error.message }
    return details === undefined ? failure : { ...failure, details }
  }
  if (error instanceof CancelledFailure) return { kind: 'failure', type: CANCELED, message: error.message }
  return { kind: 'failure', type: 'Error', message: messageOf(error) }
}

function isCutOff(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === OUTCOME_UNKNOWN
}

/** This process. */
function itself(): ProcessIdentity {
  const identity = identify(process.pid)
  if (identity === undefined) throw new Error("this process can't be identified")
  return identity
}
