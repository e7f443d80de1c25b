/** Admission: one trigger judged over all its constraints and recorded, in one synchronous turn. */
import type { Constraint } from '../../shared/config.ts'
import { type ConstraintScope, decide, type Judgement, judge, type Verdict } from '../../shared/constraints.ts'
import type { Decision } from '../../shared/wire.ts'
import type { ExecutionRow, LedgerStore } from './store.ts'
import type { Submission, Trigger } from './types.ts'

/** What admission did with a submission. */
export type Admission =
  | { kind: 'admitted'; id: string; decision: Decision }
  | { kind: 'replayed'; id: string }
  | { kind: 'denied'; decision: Decision; detail: string }
  | { kind: 'conflict' }

/** What of a trigger its constraints look at. */
type Counted = Pick<Trigger, 'workflow' | 'datacenter' | 'node' | 'constraints'>

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
export function admit(store: LedgerStore, submission: Submission, now: number): Admission {
  const { id, trigger, idempotency } = submission
  const bound = idempotency === null ? null : store.boundKey(trigger.workflow, trigger.caller, idempotency.key)
  if (bound !== null) {
    return bound.bodyHash === idempotency?.bodyHash ? { kind: 'replayed', id: bound.execution } : { kind: 'conflict' }
  }
  const { decision, detail } = judgeTrigger(store, trigger, now, now)
  store.insertDecision(id, { ...decision, id }, trigger.node, now)
  if (decision.outcome === 'denied') return { kind: 'denied', decision: { ...decision, id }, detail }
  store.insertExecution(newExecution(submission, now))
  if (idempotency !== null) {
    store.bindKey(trigger.workflow, trigger.caller, idempotency.key, idempotency.bodyHash, id)
  }
  return { kind: 'admitted', id, decision: { ...decision, id } }
}

/**
 * What the answer to a trigger would be at time `at`, with `id` null; changes nothing.
 *
 * @param at    the time judged, milliseconds since the epoch
 * @param clock the present
 */
export function judgeTrigger(
  store: LedgerStore,
  trigger: Trigger,
  at: number,
  clock: number,
): { decision: Decision; detail: string } {
  if (trigger.unavailable !== null) {
    const { code, detail } = trigger.unavailable
    return { decision: newDecision(trigger, at, code, { allowed: false, allowedAt: null, receipts: [] }), detail }
  }
  const judgements = judgeConstraints(store, trigger, at, clock)
  const verdict = decide(judgements, at)
  const code = verdict.allowed ? null : 'constraint_denied'
  return { decision: newDecision(trigger, at, code, verdict), detail: explain(trigger.workflow, verdict) }
}

/** Judges each constraint for a trigger at `at`; `clock` is the present. */
export function judgeConstraints(store: LedgerStore, trigger: Counted, at: number, clock: number): Judgement[] {
  return trigger.constraints.map((constraint) => {
    const scope = scopeOf(constraint, trigger)
    return judge(constraint, scope, store.use(trigger.workflow, scope.scope === 'node' ? scope.key : null), at, clock)
  })
}

function scopeOf(constraint: Constraint, trigger: Counted): ConstraintScope {
  if (constraint.is_global) return { scope: 'global', key: 'global' }
  if (constraint.per === 'node' && trigger.node !== null) return { scope: 'node', key: trigger.node }
  // Without a node, `per = "node"` counts all nodes of the datacenter: never less safe than asked for.
  return { scope: 'datacenter', key: trigger.datacenter }
}

function newDecision(trigger: Trigger, at: number, code: string | null, verdict: Verdict): Decision {
  return {
    id: null,
    at: new Date(at).toISOString(),
    workflow: trigger.workflow,
    datacenter: trigger.datacenter,
    outcome: code === null ? 'admitted' : 'denied',
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

function newExecution(submission: Submission, now: number): ExecutionRow {
  const { id, trigger, order } = submission
  const overdueAfter = trigger.constraints
    .filter((constraint) => constraint.kind === 'concurrency')
    .map((constraint) => constraint.period ?? Number.POSITIVE_INFINITY)
  const soonest = Math.min(...overdueAfter)
  return {
    id,
    workflow: trigger.workflow,
    node: trigger.node,
    target: trigger.target,
    taskQueue: trigger.taskQueue,
    forward: { ...order, datacenter: trigger.datacenter, reason: trigger.reason, trigger: trigger.trigger },
    phase: 'starting',
    status: 'pending',
    admittedAt: now,
    validUntil: now + submission.validFor,
    overdueAt: Number.isFinite(soonest) ? now + soonest : null,
    // The request makes the first attempt at once, so the row is written as if it had been sent: should the
    // coordinator die between commit and send, "perhaps sent" is the safe belief.
    attempts: 1,
    maybeSent: true,
    nextAt: now + ATTEMPT_LIFE,
    runId: null,
    startedAt: null,
    closedAt: null,
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
}

function explain(workflow: string, verdict: Verdict): string {
  const binding = verdict.receipts.find((receipt) => receipt.binding)
  if (binding === undefined) return `${workflow} may run`
  const within = binding.kind === 'maxExecution' ? ` within ${binding.period}` : ''
  const counted = binding.kind === 'maxExecution' ? 'started' : 'open'
  const until = binding.allowed_at === null ? 'until one of them ends' : `until ${binding.allowed_at}`
  return `${binding.kind} (${binding.scope} ${binding.key}): ${binding.used} ${counted}${within}, limit ${binding.limit}, ${until}`
}
