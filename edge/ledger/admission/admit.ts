/** Admission: one trigger judged over all its constraints and recorded, in one synchronous turn. */
import type { Constraint } from '../../../shared/config.ts'
import {
  type ConstraintScope,
  decide,
  type Judgement,
  joinReceipts,
  judge,
  judgeExclusive,
  judgeFailures,
  judgeNoFleet,
  judgeUnavailable,
  type ScopeUse,
  type Verdict,
} from '../../../shared/constraints.ts'
import type { Decision, Freeze } from '../../../shared/wire.ts'
import { escalate } from '../escalation/escalate.ts'
import type { ExecutionRow, LedgerStore } from '../store/executions.ts'
import { scopeName, scopesOf, shadowScopeName } from '../store/scopes.ts'
import type { Approval, GlobalAnswer, ReserveAnswer, Submission, Trigger, Waiting } from '../types.ts'

/** What admission did with a submission. */
export type Admission =
  /** It is to be sent now. */
  | { kind: 'admitted'; id: string; decision: Decision }
  /** All that is counted here allows it; its GlobalLedger is to be asked now, with {@link settleReservation} to follow. */
  | { kind: 'reserving'; id: string; attempt: number }
  /** It waits for approval, or was only recorded. */
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
  /** What the GlobalLedger says of the constraints that it counts; null when there are none. */
  global: GlobalAnswer | null
  /** The waiting execution that a human approved, else null. */
  approved: { id: string; approval: Approval } | null
  /** The id of the record that stands for a denial in a storm of its like, or null to record it for itself. */
  standingFor(decision: Decision, node: string | null): string | null
}

/** What of a trigger its constraints look at. */
type Counted = Pick<
  Trigger,
  'workflow' | 'datacenter' | 'node' | 'constraints' | 'exclusive' | 'fleets' | 'datacenters'
>

/** What an execution that reserves keeps until that is decided. */
interface ReservationDraft {
  decision: Decision
  detail: string
  /** Set for one that waited for approval: what it returns to. */
  waiting: Waiting | null
}

/**
 * When an attempt that was cut off by a crash is made again, in milliseconds; longer than one request may take. Also
 * how long the request that was admitted may try by itself before the alarm takes over.
 */
export const ATTEMPT_LIFE = 6000

/**
 * Admits or denies a submission and records it. Runs inside one transaction: all constraints see the same rows, and a
 * denial leaves nothing behind but its decision.
 *
 * @param now milliseconds since the epoch
 */
export function admit(store: LedgerStore, submission: Submission, context: AdmissionContext, now: number): Admission {
  const { trigger, idempotency } = submission
  const bound = idempotency === null ? null : store.boundKey(trigger.workflow, trigger.caller, idempotency.key)
  if (bound !== null) {
    return bound.bodyHash === idempotency?.bodyHash ? { kind: 'replayed', id: bound.execution } : { kind: 'conflict' }
  }
  const { decision, detail } = judgeTrigger(store, trigger, context.global, now, now)
  tripReached(store, trigger, now)
  if (decision.outcome === 'denied') return deny(store, submission.id, decision, detail, trigger.node, context, now)
  const admission = place(store, submission, decision, detail, context, now)
  if (idempotency !== null) {
    store.bindKey(trigger.workflow, trigger.caller, idempotency.key, idempotency.bodyHash, admission.id)
  }
  return admission
}

/**
 * Ends a reservation by what the GlobalLedger answered: one compare-and-set from reserving to admitted or to nothing.
 *
 * @returns null when it was ended otherwise meanwhile
 */
export function settleReservation(
  store: LedgerStore,
  id: string,
  answer: ReserveAnswer,
  context: Pick<AdmissionContext, 'standingFor'> & { newId(): string },
  now: number,
): (Admission & { kind: 'admitted' | 'denied' }) | null {
  const row = store.execution(id)
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
    store.update({ ...row, phase: 'starting', status: 'pending', nextAt: now + ATTEMPT_LIFE })
    return { kind: 'admitted', id, decision }
  }
  const denied = deniedByGlobal(draft, answer, now)
  if (draft.waiting === null) store.removeReserving(id)
  else {
    store.update({ ...row, phase: 'waiting', status: 'awaiting_approval', nextAt: row.validUntil })
    store.drafts.put(id, draft.waiting)
  }
  // Without an answer it may be reserved after all.
  if (answer.kind !== 'denied') {
    store.settlements.put(id, row.workflow, { startedAt: null, closedAt: now, attempt: row.attempts }, now)
  }
  const decisionId = draft.waiting === null ? id : context.newId()
  return deny(store, decisionId, denied.decision, denied.detail, row.node, context, now)
}

/**
 * What the answer to a trigger would be at time `at`, with `id` null; changes nothing.
 *
 * @param global what its GlobalLedger says of the constraints that it counts, null when there are none
 * @param at     the time judged, milliseconds since the epoch
 * @param clock  the present
 */
export function judgeTrigger(
  store: LedgerStore,
  trigger: Trigger,
  global: GlobalAnswer | null,
  at: number,
  clock: number,
): { decision: Decision; detail: string } {
  const nothing = { allowed: false, allowedAt: null, receipts: [] }
  if (trigger.unavailable !== null) {
    const { code, detail } = trigger.unavailable
    return { decision: newDecision(trigger, at, code, nothing), detail }
  }
  const counted = global?.kind === 'judged' ? global.judgements : []
  const excluded = excludedBy(store, trigger, at)
  const verdict = decide([...judgeConstraints(store, trigger, counted, at, clock), ...excluded], at)
  const freeze = store.freezes.covering(trigger, at)
  if (freeze !== null) return frozen(trigger, freeze, verdict, at)
  if (!verdict.allowed) {
    return {
      decision: newDecision(trigger, at, 'constraint_denied', verdict),
      detail: explain(store, trigger, verdict),
    }
  }
  if (global?.kind === 'unavailable') {
    return {
      decision: newDecision(trigger, at, 'ledger_unavailable', { ...verdict, allowed: false, allowedAt: null }),
      detail: `what ${trigger.workflow} counts over all datacenters is not known: ${global.detail}`,
    }
  }
  const simulated =
    trigger.mode === 'shadow' ? decide(judgeConstraints(store, trigger, counted, at, clock, true), at) : verdict
  return { decision: newDecision(trigger, at, null, simulated), detail: `${trigger.workflow} may run` }
}

/**
 * Judges each constraint for a trigger at `at`; `clock` is the present.
 *
 * @param global    judgements of the constraints that the GlobalLedger counts, in their order; none when it wasn't asked
 * @param simulated whether what shadow mode would have started counts as well
 */
export function judgeConstraints(
  store: LedgerStore,
  trigger: Counted,
  global: readonly Judgement[],
  at: number,
  clock: number,
  simulated = false,
): Judgement[] {
  const counted = [...global]
  return trigger.constraints.flatMap((constraint): Judgement[] => {
    if (isCentral(constraint, trigger.datacenters)) return counted.splice(0, 1)
    const scope = scopeOf(constraint, trigger)
    const node = scope.scope === 'node' ? scope.key : null
    switch (constraint.kind) {
      case 'exclusive':
        return trigger.node === null ? [] : [judgeExclusive(trigger.node, store.openOnNode(trigger.node).length, at)]
      case 'maxUnavailable':
        return judgeFleets(store, constraint, trigger, at)
      case 'maxFailure':
        return [judgeFailures(constraint, scope, store.failures.use(scopeName(trigger.workflow, node)), at)]
      case 'concurrency':
      case 'maxExecution':
      default: {
        const use = store.use(trigger.workflow, node)
        return [judge(constraint, scope, simulated ? withShadow(store, trigger.workflow, node, use) : use, at, clock)]
      }
    }
  })
}

/** Whether the GlobalLedger counts a constraint. */
export function isCentral(constraint: Constraint, datacenters: readonly string[]): boolean {
  return constraint.is_global && datacenters.length > 1
}

function judgeFleets(store: LedgerStore, constraint: Constraint, trigger: Counted, at: number): Judgement[] {
  // Of a node without a type nothing can be said, and doubt denies.
  if (trigger.node !== null && trigger.fleets.length === 0) return [judgeNoFleet(constraint)]
  const busy = new Set(store.busyNodes())
  return trigger.fleets.map(({ type, nodes, dead }) => {
    const gone = new Set(dead)
    const unavailable = nodes.filter((node) => node !== trigger.node && (busy.has(node) || gone.has(node))).length
    return judgeUnavailable(constraint, { type, known: nodes.length, unavailable }, at)
  })
}

/** What an open exclusive execution says of a trigger that isn't exclusive itself: a line only when it denies. */
function excludedBy(store: LedgerStore, trigger: Counted, at: number): Judgement[] {
  if (trigger.node === null || isExclusive(trigger.constraints)) return []
  const excluding = store
    .openOnNode(trigger.node)
    .filter((open) => open.exclusive || trigger.exclusive.includes(open.workflow)).length
  return excluding === 0 ? [] : [judgeExclusive(trigger.node, excluding, at)]
}

/** Adds the starts that shadow mode would have made. Of their length nothing is known: they count as starts alone. */
function withShadow(store: LedgerStore, workflow: string, node: string | null, use: ScopeUse): ScopeUse {
  const scope = shadowScopeName(workflow, node)
  const { starts } = store
  return {
    open: use.open,
    pending: use.pending,
    startsAfter: (time) => use.startsAfter(time) + starts.countAfter(scope, time),
    startAfter(time, index) {
      const times = [
        ...Array.from({ length: use.startsAfter(time) }, (_, place) => use.startAfter(time, place)),
        ...Array.from({ length: starts.countAfter(scope, time) }, (_, place) => starts.timeAfter(scope, time, place)),
      ].sort((a, b) => a - b)
      return times[index] ?? Number.POSITIVE_INFINITY
    },
  }
}

/** Notes a `maxFailure` that is reached by its present limit: it holds until it is reset, however the window moves on. */
function tripReached(store: LedgerStore, trigger: Trigger, now: number): void {
  for (const constraint of trigger.constraints) {
    if (constraint.kind !== 'maxFailure' || constraint.period === undefined) continue
    const { scope, key } = scopeOf(constraint, trigger)
    const name = scopeName(trigger.workflow, scope === 'node' ? key : null)
    const count = store.failures.use(name).failuresAfter(now - constraint.period)
    if (count >= constraint.value) store.failures.trip(name, now, count)
  }
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
    const waiting = store.drafts.get<Waiting>(approved.id)
    const row = store.execution(approved.id)
    if (row === null || waiting === null) throw new Error(`execution ${approved.id} does not wait for approval`)
    const approval = { at: new Date(now).toISOString(), ...approved.approval }
    const attempts = row.attempts + 1
    // Its time began with the trigger, not with the approval: the condition it answers may be long gone.
    const { id, validUntil } = row
    store.place({
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
      store.insertExecution(fresh)
      return begin(store, { id, attempts: fresh.attempts, trigger, waiting: null }, { ...decision, id }, detail, now)
    case 'approve': {
      store.insertExecution({ ...fresh, ...WAITING, nextAt: fresh.validUntil })
      const { order, validFor } = submission
      store.drafts.put(id, { trigger, order, validFor } satisfies Waiting)
      const parked = park(store, { ...decision, id, outcome: 'awaiting_approval' }, trigger, now)
      escalate(store, fresh, now)
      return parked
    }
    case 'shadow': {
      store.insertExecution({ ...fresh, ...SHADOWED, closedAt: now })
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
  { id, attempts, trigger, waiting }: { id: string; attempts: number; trigger: Trigger; waiting: Waiting | null },
  decision: Decision,
  detail: string,
  now: number,
): Admission & { id: string } {
  if (trigger.constraints.some((constraint) => isCentral(constraint, trigger.datacenters))) {
    const row = store.execution(id)
    const status = waiting === null ? 'pending' : 'awaiting_approval'
    if (row !== null) store.update({ ...row, phase: 'reserving', status, nextAt: now + ATTEMPT_LIFE })
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
  { standingFor }: Pick<AdmissionContext, 'standingFor'>,
  now: number,
): Denial {
  const standing = standingFor({ ...decision, id }, node)
  if (standing !== null) return { kind: 'denied', decision: { ...decision, id: standing }, detail }
  store.decisions.insert(id, { ...decision, id }, node, now)
  return { kind: 'denied', decision: { ...decision, id }, detail }
}

function deniedByGlobal(
  draft: ReservationDraft,
  answer: ReserveAnswer,
  now: number,
): { decision: Decision; detail: string } {
  const { approval: _, ...judged } = draft.decision
  const base = { ...judged, id: null, at: new Date(now).toISOString(), outcome: 'denied' as const }
  if ('detail' in answer) {
    const detail = `what ${base.workflow} counts over all datacenters is not known: ${answer.detail}`
    return { decision: { ...base, code: 'ledger_unavailable', allowed_at: null }, detail }
  }
  const { allowedAt, receipts } = decide(answer.judgements, now)
  const decision: Decision = {
    ...base,
    code: 'constraint_denied',
    allowed_at: allowedAt === null ? null : new Date(allowedAt).toISOString(),
    constraints: joinReceipts(base.constraints, answer.judgements, false),
  }
  const binding = receipts.find((receipt) => receipt.binding)
  return { decision, detail: binding === undefined ? `${base.workflow} may not run` : sentence(binding) }
}

function scopeOf(constraint: Constraint, trigger: Counted): ConstraintScope {
  if (constraint.is_global) return { scope: 'global', key: 'global' }
  if (constraint.per === 'node' && trigger.node !== null) return { scope: 'node', key: trigger.node }
  // Without a node, `per = "node"` counts all nodes of the datacenter: never less safe than asked for.
  return { scope: 'datacenter', key: trigger.datacenter }
}

function isExclusive(constraints: readonly Constraint[]): boolean {
  return constraints.some(({ kind }) => kind === 'exclusive')
}

function newDecision(trigger: Trigger, at: number, code: string | null, verdict: Verdict): Decision {
  return {
    id: null,
    at: new Date(at).toISOString(),
    workflow: trigger.workflow,
    datacenter: trigger.datacenter,
    outcome: code !== null ? 'denied' : OUTCOMES[trigger.mode],
    code,
    caller: trigger.caller,
    trigger: trigger.trigger,
    target: trigger.target,
    task_queue: trigger.taskQueue,
    reason: trigger.reason,
    allowed_at: verdict.allowedAt === null ? null : new Date(verdict.allowedAt).toISOString(),
    freeze: null,
    constraints: verdict.receipts,
  }
}

const OUTCOMES = { auto: 'admitted', approve: 'awaiting_approval', shadow: 'shadowed' } as const

/** A denial by a freeze. The constraints' use is shown, but none of them is what binds. */
function frozen(
  trigger: Trigger,
  freeze: Freeze,
  verdict: Verdict,
  at: number,
): { decision: Decision; detail: string } {
  const thawsAt = freeze.expires_at === null ? null : Date.parse(freeze.expires_at)
  const allowedAt = thawsAt === null || verdict.allowedAt === null ? null : Math.max(thawsAt, verdict.allowedAt)
  const receipts = verdict.receipts.map((receipt) => ({ ...receipt, binding: false }))
  const until = freeze.expires_at === null ? 'until it is lifted' : `until ${freeze.expires_at}`
  return {
    decision: { ...newDecision(trigger, at, 'frozen', { allowed: false, allowedAt, receipts }), freeze: freeze.id },
    detail: `frozen ${until} by ${freeze.caller}: ${freeze.reason} (freeze ${freeze.id})`,
  }
}

function newExecution(submission: Submission, now: number): ExecutionRow {
  const { id, trigger, order } = submission
  const overdueAfter = trigger.constraints
    .filter((constraint) => constraint.kind === 'concurrency')
    .map((constraint) => constraint.period ?? Number.POSITIVE_INFINITY)
  const soonest = Math.min(...overdueAfter)
  return {
    id,
    workflowId: id,
    admitted: true,
    workflow: trigger.workflow,
    node: trigger.node,
    target: trigger.target,
    taskQueue: trigger.taskQueue,
    forward: { ...order, datacenter: trigger.datacenter, reason: trigger.reason, trigger: trigger.trigger },
    phase: 'starting',
    status: 'pending',
    exclusive: isExclusive(trigger.constraints),
    limits: trigger.constraints,
    central: trigger.constraints.some((constraint) => isCentral(constraint, trigger.datacenters)),
    admittedAt: now,
    validUntil: now + submission.validFor,
    overdueAt: Number.isFinite(soonest) ? now + soonest : null,
    // The request makes the first attempt at once, so the row is written as if it had been sent: should the
    // coordinator die between commit and send, "perhaps sent" is the safe belief.
    attempts: 1,
    maybeSent: true,
    nextAt: now + ATTEMPT_LIFE,
    runId: null,
    namespaceId: null,
    startedAt: null,
    closedAt: null,
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
}

function explain(store: LedgerStore, trigger: Trigger, verdict: Verdict): string {
  const binding = verdict.receipts.find((receipt) => receipt.binding)
  if (binding === undefined) return `${trigger.workflow} may not run`
  if (binding.kind !== 'maxFailure') return sentence(binding)
  const scope = scopeName(trigger.workflow, binding.scope === 'node' ? binding.key : null)
  const trip = store.failures.use(scope).trip
  const since = trip === null ? '' : ` Tripped at ${new Date(trip.at).toISOString()}`
  const failed = store.failures.newest(scope, 5).join(', ')
  const reset = `POST /v1/workflows/${trigger.workflow}/reset once the cause is known`
  return `${sentence(binding)}.${since} by ${failed || 'executions no longer kept'}; ${reset}`
}

/** One line of a receipt in words. */
function sentence({ kind, scope, key, used, limit, period, allowed_at }: Verdict['receipts'][number]): string {
  const within = period === null || kind === 'concurrency' ? '' : ` within ${period}`
  const until = kind === 'maxFailure' ? 'until it is reset' : (allowed_at ?? 'until one of them ends')
  const when = allowed_at === null || kind === 'maxFailure' ? until : `until ${allowed_at}`
  return `${kind} (${scope} ${key}): ${used} ${COUNTED[kind]}${within}, limit ${limit}, ${when}`
}

const COUNTED: Readonly<Record<Constraint['kind'], string>> = {
  maxExecution: 'started',
  concurrency: 'open',
  exclusive: 'open on the node',
  maxUnavailable: 'other nodes unavailable',
  maxFailure: 'failed',
}

/** The `maxFailure` limits that an execution was judged by and that its end has reached. */
export function reachedFailures(
  store: LedgerStore,
  row: ExecutionRow,
  closedAt: number,
): { scope: string; count: number }[] {
  const [workflowScope = '', nodeScope = workflowScope] = scopesOf(row.workflow, row.node)
  return row.limits.flatMap((constraint) => {
    if (constraint.kind !== 'maxFailure' || constraint.period === undefined) return []
    const scope = constraint.per === 'node' ? nodeScope : workflowScope
    const count = store.failures.use(scope).failuresAfter(closedAt - constraint.period)
    return count >= constraint.value ? [{ scope, count }] : []
  })
}
