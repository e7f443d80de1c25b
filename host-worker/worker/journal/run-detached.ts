/** Carries a change to its end although the worker, or the machine, may end in the middle of it. */
import type { ChildProcess } from 'node:child_process'
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { OUTCOME_UNKNOWN } from '../../../shared/failure-types.ts'
import { messageOf } from '../../../shared/log.ts'
import { isAlive } from '../../process/process-identity.ts'
import { isFinal } from '../permits/final-failure.ts'
import type { ChangeScope } from '../permits/gate.ts'
import { reportBegun } from './activity-heartbeat.ts'
import { CANCELED, type Change, isOfEarlierBoot, type Journal, keyOf, type Outcome } from './journal.ts'
import {
  beginWhenFree,
  type ChangeHost,
  currentOrder,
  failureOf,
  isCancelRequested,
  lookUp,
  pause,
  recorded,
  unknownOutcome,
  unwrap,
} from './run-once.ts'
import { type RunnerOrder, startRunner } from './runner.ts'

/** A change that a command makes, and that does not end with the worker. */
export interface LastingChange extends Omit<ChangeScope, 'subject'> {
  what: string
  command: RunnerOrder['command']
  /** Milliseconds that the command may take. */
  timeout: number
  /**
   * Judges a change that continues after its command, such as a reboot; null while it is in progress. Without it the change
   * ends with its command.
   *
   * @param bootId of now
   */
  judge?: (change: Change, bootId: string) => Outcome | null
  /** Milliseconds for which a change with {@link judge} counts as in progress. */
  lasts?: number
}

/** How long an intent that no process has claimed yet excludes other changes. */
const CLAIM_TIMEOUT_MS = 30_000

/**
 * Carries out the change that the running activity orders. A later attempt of the same order joins in, or returns what
 * came of it. It is not tied to the worker: only a cancelled workflow ends the command before its time.
 *
 * @throws ApplicationFailure, not retried: `PermitRefused`, `HostBusy`, `OutcomeUnknown`, `JournalUnavailable`,
 *   `CommandTimeout`, and what `judge` gives; retried: `WorkerStopped`
 * @throws CancelledFailure when the workflow has cancelled it
 */
export async function carryToEnd(host: ChangeHost, change: LastingChange): Promise<unknown> {
  const { journal } = host
  const order = currentOrder()
  const key = keyOf(order)
  const known = lookUp(journal, key, change.what)
  if (known === null) {
    await beginWhenFree(host, { ...change, order }, (execution, bootId, now) =>
      journal.begin({
        order: { ...order, execution },
        subject: host.node,
        what: change.what,
        bootId,
        now,
        until: now + (change.lasts ?? CLAIM_TIMEOUT_MS),
        holder: null,
      }),
    )
  }
  // What goes on after its command, such as a reboot, is judged when the host is back.
  if (change.judge === undefined) reportBegun()
  return unwrap(await follow(host, change, key))
}

/** Makes sure that a process carries the change out, and waits for its end. */
async function follow(host: ChangeHost, change: LastingChange, key: string): Promise<Outcome> {
  const { journal } = host
  const { cancellationSignal } = Context.current()
  let runner: ChildProcess | null = null
  for (;;) {
    // Asked before the journal is read: what it has done is recorded there by then.
    const runnerEnded = runner !== null && (runner.exitCode !== null || runner.signalCode !== null)
    const found = readOn(journal, key, change.what)
    if (found.outcome !== null) return found.outcome
    const outcome = judged(change, found, await host.bootId())
    if (outcome !== null) return recorded(journal, key, outcome)
    if (found.holder === null && runner === null) {
      runner = await start(host, change, found)
    }
    if (found.holder === null && runnerEnded) {
      throw ApplicationFailure.retryable(`${change.what} could not be begun`, 'NotStarted')
    }
    if (cancellationSignal.aborted) leave(journal, found)
    await pause()
  }
}

/**
 * The change that is followed. Another process may have begun it: no error may say that it has not begun.
 *
 * @throws ApplicationFailure `JournalUnreadable`, retried; `OutcomeUnknown`
 */
function readOn(journal: Journal, key: string, what: string): Change {
  let found: Change | null
  try {
    found = journal.find(key)
  } catch (error) {
    throw ApplicationFailure.retryable(`the host's journal can't be read: ${messageOf(error)}`, 'JournalUnreadable')
  }
  if (found !== null) return found
  throw ApplicationFailure.nonRetryable(`the host's journal has lost ${what}`, OUTCOME_UNKNOWN)
}

/**
 * Has a change begun that no process has claimed so far, maybe for long: the permit must still be valid, and no other change have
 * come meanwhile.
 *
 * @returns null when another process has begun it meanwhile
 */
async function start(host: ChangeHost, change: LastingChange, { key, until }: Change): Promise<ChildProcess | null> {
  const { journal } = host
  try {
    await beginWhenFree(host, { ...change, order: currentOrder() }, (_, bootId, now) =>
      journal.renew(key, bootId, now, change.lasts === undefined ? now + CLAIM_TIMEOUT_MS : until),
    )
  } catch (error) {
    if (!isFinal(error) && !(error instanceof CancelledFailure)) throw error
    // A runner of an earlier attempt may be about to claim it: now it can't, or it has.
    if (journal.refuse(key, failureOf(error), Date.now())) throw error
    return null
  }
  const { command, timeout, judge } = change
  return startRunner({ journal: journal.directory, key, command, timeout, ends: judge === undefined })
}

/** The outcome of an open change; null while it is in progress or has not begun. */
function judged(change: LastingChange, found: Change, bootId: string): Outcome | null {
  if (change.judge !== undefined) return change.judge(found, bootId)
  if (found.holder === null) return null
  const isGone = isOfEarlierBoot(found, bootId) || !isAlive(found.holder)
  return isGone ? unknownOutcome(change.what) : null
}

/** The activity ends before its change: a cancelled workflow ends the command, a stopping worker leaves it alone. */
function leave(journal: Journal, { key, holder, command }: Change): void {
  if (!isCancelRequested()) throw ApplicationFailure.retryable('the worker stops; the change goes on', 'WorkerStopped')
  if (command !== null) throw new CancelledFailure('cancelled after its command had ended')
  if (holder === null) {
    // Whoever was about to begin finds that it has ended.
    journal.refuse(key, { kind: 'failure', type: CANCELED, message: 'cancelled before it began' }, Date.now())
  } else if (isAlive(holder)) terminate(holder.pid)
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It has ended meanwhile.
  }
}
