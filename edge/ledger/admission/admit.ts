/** Admission: judges a trigger over all its constraints and records the decision, in one synchronous turn. */
import { joinReceipts } from '../../../shared/constraints.ts'
import type { Decision } from '../../../shared/wire.ts'
import { escalate } from '../escalation/escalate.ts'
import { shadowScopeName } from '../store/scopes.ts'
import type { LedgerStore } from '../store/store.ts'
import type { Attribution, GlobalAnswer, ReserveAnswer, Submission, Trigger } from '../types.ts'
import { tripReached } from './breaker.ts'
import { judgeTrigger } from './judge.ts'
import { ATTEMPT_TIMEOUT_MS, newExecution } from './new-execution.ts'
import { deniedByGlobal } from './receipt.ts'

/** The result of an admission. */
export type Admission =
  /** It is to be sent now. */
  | { kind: 'admitted'; id: string; decision: Decision }
  /** All that is counted here allows it; its GlobalLedger is to be asked now, with {@link concludeReservation} to follow. */
  | { kind: 'reserving'; id: string; attempt: number }
  /** It awaits approval, or was only recorded. */
  | { kind: 'parked'; id: string; decision: Decision }
  | { kind: 'replayed'; id: string }
  | Denial
  | { kind: 'conflict' }

/** A recorded denial. */
export interface Denial {
  kind: 'denied'
  decision: Decision
  detail: string
}

/** What admission needs besides the rows and the submission. */
export interface AdmissionContext {
  /** The GlobalLedger's judgements of the constraints that it counts; null when there are none. */
  global: GlobalAnswer | null
  /** The waiting execution that an operator approved, else null. */
  approved: { id: string; approval: Attribution } | null
  /** The id of the decision that a repeated denial is counted on, or null to record it separately. */
  recordFor(decision: Decision, node: string | null): string | null
}

/** The draft of an execution that is reserving. */
interface ReservationDraft {
  decision: Decision
  detail: string
  /** The trigger to return to waiting with, when it awaited approval; else null. */
  waiting: Trigger | null
}

/**
 * Admits or denies a submission and records it. Runs inside one transaction: all constraints see the same rows, and a
 * denial leaves nothing behind but its decision.
 *
 * @param now milliseconds since the epoch
 */
export function admit(store: LedgerStore, submission: Submission, context: AdmissionContext, now: number): Admission {
  const { trigger, idempotency } = submission
  const bound = idempotency === null ? null : store.keys.bound(trigger.workflow, trigger.caller, idempotency.key)
  if (bound !== null) {
    return bound.bodyHash === idempotency?.bodyHash ? { kind: 'replayed', id: bound.execution } : { kind: 'conflict' }
  }
  const { decision, detail } = judgeTrigger(store, trigger, context.global, now, now)
  tripReached(store, trigger, now)
  if (decision.outcome === 'denied') return deny(store, submission.id, decision, detail, trigger.node, context, now)
  const admission = place(store, submission, decision, detail, context, now)
  if (idempotency !== null) {
    store.keys.bind(trigger.workflow, trigger.caller, idempotency.key, idempotency.bodyHash, admission.id)
  }
  return admission
}

/**
 * Ends a reservation by what the GlobalLedger answered: one compare-and-set from reserving to admitted or to nothing.
 *
 * @returns null when it had been concluded before
 */
export function concludeReservation(
  store: LedgerStore,
  id: string,
  answer: ReserveAnswer,
  context: Pick<AdmissionContext, 'recordFor'> & { newId(): string },
  now: number,
): (Admission & { kind: 'admitted' | 'denied' }) | null {
  const row = store.executions.get(id)
  const draft = store.drafts.get<ReservationDraft>(id)
  if (row === null || row.phase !== 'reserving' || draft === null) return null
  if (answer.kind === 'reserved') {
    const decision = {
      ...draft.decision,
      constraints: joinReceipts(draft.decision.constraints, answer.judgements, true),
    }
    store.decisions.insert(id, decision, row.node, now)
    store.drafts.remove(id)
    store.escalations.end(id, now)
    store.executions.update({ ...row, phase: 'starting', status: 'pending', nextAt: now + ATTEMPT_TIMEOUT_MS })
    return { kind: 'admitted', id, decision }
  }
  const denied = deniedByGlobal(draft.decision, answer, now)
  if (draft.waiting === null) store.executions.removeReserving(id)
  else {
    store.executions.update({ ...row, phase: 'waiting', status: 'awaiting_approval', nextAt: row.validUntil })
    store.drafts.put(id, draft.waiting)
  }
  // Without an answer it may be reserved after all.
  if (answer.kind !== 'denied') {
    store.usageReports.put(id, row.workflow, { startedAt: null, closedAt: now, attempt: row.attempts }, now)
  }
  const decisionId = draft.waiting === null ? id : context.newId()
  return deny(store, decisionId, denied.decision, denied.detail, row.node, context, now)
}

function place(
  store: LedgerStore,
  submission: Submission,
  decision: Decision,
  detail: string,
  { approved }: AdmissionContext,
  now: number,
): Admission & { id: string } {
  const { trigger } = submission
  const fresh = newExecution(submission, now)
  if (approved !== null) {
    const waiting = store.drafts.get<Trigger>(approved.id)
    const row = store.executions.get(approved.id)
    if (row === null || waiting === null) throw new Error(`execution ${approved.id} does not wait for approval`)
    const approval = { at: new Date(now).toISOString(), ...approved.approval }
    const attempts = row.attempts + 1
    // Its time began with the trigger, not with the approval: the condition may have cleared long ago.
    const { id, validUntil } = row
    store.executions.place({
      ...fresh,
      id,
      workflowId: id,
      validUntil,
      attempts,
      nextAt: Math.min(fresh.nextAt ?? now, validUntil),
    })
    return begin(
      store,
      { id, attempts, trigger, waiting },
      { ...decision, id, outcome: 'admitted', approval },
      detail,
      now,
    )
  }
  const { id } = submission
  switch (trigger.mode) {
    case 'auto':
      store.executions.insert(fresh)
      return begin(store, { id, attempts: fresh.attempts, trigger, waiting: null }, { ...decision, id }, detail, now)
    case 'approve': {
      store.executions.insert({ ...fresh, ...WAITING, nextAt: fresh.validUntil })
      store.drafts.put(id, trigger)
      const parked = park(store, { ...decision, id, outcome: 'awaiting_approval' }, trigger, now)
      escalate(store, fresh, now)
      return parked
    }
    case 'shadow': {
      store.executions.insert({ ...fresh, ...SHADOWED, closedAt: now })
      const wouldRun = decision.constraints.every(({ allowed }) => allowed)
      if (wouldRun) {
        store.starts.append(shadowScopeName(trigger.workflow, null), now, id)
        if (trigger.node !== null) store.starts.append(shadowScopeName(trigger.workflow, trigger.node), now, id)
      }
      return park(store, { ...decision, id, outcome: 'shadowed' }, trigger, now)
    }
  }
}

const WAITING = { phase: 'waiting', status: 'awaiting_approval', attempts: 0, maybeSent: false } as const
const SHADOWED = { phase: 'closed', status: 'shadowed', attempts: 0, maybeSent: false, nextAt: null } as const

function park(
  store: LedgerStore,
  decision: Decision & { id: string },
  trigger: Trigger,
  now: number,
): Admission & { id: string } {
  store.decisions.insert(decision.id, decision, trigger.node, now)
  return { kind: 'parked', id: decision.id, decision }
}

/** Lets a placed execution go on: to its GlobalLedger if it has one, else out. */
function begin(
  store: LedgerStore,
  { id, attempts, trigger, waiting }: { id: string; attempts: number; trigger: Trigger; waiting: Trigger | null },
  decision: Decision,
  detail: string,
  now: number,
): Admission & { id: string } {
  if (trigger.constraints.some(({ isCentral }) => isCentral)) {
    const row = store.executions.get(id)
    const status = waiting === null ? 'pending' : 'awaiting_approval'
    if (row !== null) store.executions.update({ ...row, phase: 'reserving', status, nextAt: now + ATTEMPT_TIMEOUT_MS })
    store.drafts.put(id, { decision, detail, waiting } satisfies ReservationDraft)
    return { kind: 'reserving', id, attempt: attempts }
  }
  store.decisions.insert(id, decision, trigger.node, now)
  store.drafts.remove(id)
  if (waiting !== null) store.escalations.end(id, now)
  return { kind: 'admitted', id, decision }
}

function deny(
  store: LedgerStore,
  id: string,
  decision: Decision,
  detail: string,
  node: string | null,
  { recordFor }: Pick<AdmissionContext, 'recordFor'>,
  now: number,
): Denial {
  const record = recordFor({ ...decision, id }, node)
  if (record !== null) return { kind: 'denied', decision: { ...decision, id: record }, detail }
  store.decisions.insert(id, { ...decision, id }, node, now)
  return { kind: 'denied', decision: { ...decision, id }, detail }
}
