/**
 * The arithmetic of safety constraints: pure functions, used by admission, `evaluate`, receipts and tests.
 *
 * A `maxExecution` window is judged by *occupation*: an execution occupies it from its admission until `period` after
 * its start was confirmed. The confirmation is later than the real start, so a new start is admitted no earlier than
 * `period` after the real start of the one that made room, and the real starts inside any window of `period` never
 * exceed the limit. An execution whose start is still unknown always occupies.
 */
import type { Constraint } from './config.ts'
import { formatDuration } from './duration.ts'

/** The usage that one constraint counts. All times are milliseconds since the epoch. */
export interface ScopeUsage {
  /** Executions that have not ended, pending ones included. */
  readonly open: number
  /** Executions that were admitted and whose start is still unknown. */
  readonly pending: number
  /** Number of starts confirmed strictly after `time`. */
  startsAfter(time: number): number
  /** When the start was confirmed that is the `index`-th (from 0, oldest first) of those strictly after `time`. */
  startAfter(time: number, index: number): number
}

/** The scope that a constraint counts in, and the name of the thing counted. */
export interface ConstraintScope {
  scope: 'datacenter' | 'global' | 'node' | 'node_type'
  key: string
}

/** The judgement of one constraint on a trigger at one time. */
export interface Judgement extends ConstraintScope {
  kind: Constraint['kind']
  limit: number
  /** Milliseconds, or null for a constraint without one. */
  period: number | null
  /** Executions counted before this trigger. */
  used: number
  allowed: boolean
  /** Milliseconds since the epoch; null when only the end of an execution, or an operator, can allow it. */
  allowedAt: number | null
}

/** One line of a receipt, as it goes over the wire. */
export interface ConstraintReceipt extends ConstraintScope {
  kind: Constraint['kind']
  limit: number
  period: string | null
  used: number
  allowed: boolean
  allowed_at: string | null
  binding: boolean
}

/** The outcome of all constraints together. */
export interface Verdict {
  allowed: boolean
  /** As {@link Judgement.allowedAt}, for all constraints together. */
  allowedAt: number | null
  receipts: ConstraintReceipt[]
}

/** The failures that one `maxFailure` counts. */
export interface FailureUsage {
  /** Number of executions that failed, timed out or were terminated after `time`, since the last reset. */
  failuresAfter(time: number): number
  /** Set from when the limit was reached until an operator resets it; `count` is how many failures reached it. */
  readonly trip: { at: number; count: number } | null
}

/** The nodes of one type in a datacenter. */
export interface FleetUsage {
  type: string
  /** Nodes of the type, dead ones included. */
  known: number
  /** Of these, without the node judged: the ones that are dead or have an open remediation of any workflow. */
  unavailable: number
}

/**
 * Judges a constraint that counts the executions of one scope. Every kind that permits `is_global` is judged here, since
 * this is all that a GlobalLedger knows; kinds that need nodes or failures are judged below, and the ledger's
 * `judgeConstraints` chooses.
 *
 * @param at    the time judged
 * @param clock the present; a pending start is taken as confirmed then. Equal to `at` but for questions about the future
 */
export function judge(
  constraint: Constraint,
  scope: ConstraintScope,
  use: ScopeUsage,
  at: number,
  clock = at,
): Judgement {
  const base = { ...scope, kind: constraint.kind, limit: constraint.value, period: constraint.period ?? null }
  switch (constraint.kind) {
    case 'concurrency': {
      const allowed = use.open < constraint.value
      return { ...base, used: use.open, allowed, allowedAt: allowed ? at : null }
    }
    case 'maxExecution':
      return judgeWindow(base, constraint.period, use, at, clock)
    case 'exclusive':
    case 'maxUnavailable':
    case 'maxFailure':
    default:
      // They don't count executions of one scope, or it is unknown what they count: when in doubt, deny.
      return { ...base, used: use.open, allowed: false, allowedAt: null }
  }
}

/**
 * Judges exclusiveness: nothing may be open on the node that excludes this trigger, or is excluded by it.
 *
 * @param used for an exclusive trigger the open executions on the node, for any other the open exclusive ones
 */
export function judgeExclusive(node: string, used: number, at: number): Judgement {
  const allowed = used === 0
  const base = { kind: 'exclusive', scope: 'node', key: node, limit: 1, period: null } as const
  return { ...base, used, allowed, allowedAt: allowed ? at : null }
}

/**
 * Judges `maxUnavailable` for one type of the node: with the node itself, at most `value` nodes of the type may be
 * unavailable. A share is of the known nodes, rounded down, and at least one.
 */
export function judgeUnavailable(constraint: Constraint, fleet: FleetUsage, at: number): Judgement {
  const share = Math.max(1, Math.floor((fleet.known * constraint.value) / 100))
  const limit = constraint.percent === true ? share : constraint.value
  const allowed = fleet.unavailable < limit
  const base = { kind: constraint.kind, scope: 'node_type', key: fleet.type, limit, period: null } as const
  return { ...base, used: fleet.unavailable, allowed, allowedAt: allowed ? at : null }
}

/** Judges `maxUnavailable` for a node that has no type, so that nothing is known of its like: never. */
export function judgeNoFleet({ kind }: Constraint): Judgement {
  const nothing = { limit: 0, period: null, used: 0, allowed: false, allowedAt: null }
  return { ...nothing, kind, scope: 'node_type', key: 'none' }
}

/** Judges `maxFailure`: once as many executions failed within the period, only an operator's reset allows more. */
export function judgeFailures(
  constraint: Constraint,
  scope: ConstraintScope,
  use: FailureUsage,
  at: number,
): Judgement {
  const base = { ...scope, kind: constraint.kind, limit: constraint.value, period: constraint.period ?? null }
  const counted = constraint.period === undefined ? constraint.value : use.failuresAfter(at - constraint.period)
  const used = Math.max(counted, use.trip?.count ?? 0)
  const allowed = use.trip === null && counted < constraint.value
  return { ...base, used, allowed, allowedAt: allowed ? at : null }
}

/** Joins judgements: all must allow; when they don't, exactly one line is binding, the one that denies latest. */
export function decide(judgements: readonly Judgement[], at: number): Verdict {
  const denied = judgements.filter((judgement) => !judgement.allowed)
  const binding = denied.reduce<Judgement | null>(
    (latest, judgement) => (latest === null || later(judgement, latest) ? judgement : latest),
    null,
  )
  return {
    allowed: binding === null,
    allowedAt: binding === null ? at : binding.allowedAt,
    receipts: judgements.map((judgement) => receipt(judgement, judgement === binding)),
  }
}

/**
 * Puts the judgements of a GlobalLedger into a receipt that was made without them, in the place of the lines with scope
 * `global`.
 *
 * @param allowed whether the whole was allowed; else one of the judgements is the binding line
 */
export function joinReceipts(
  receipts: readonly ConstraintReceipt[],
  judgements: readonly Judgement[],
  allowed: boolean,
): ConstraintReceipt[] {
  const global = [
    ...(allowed ? judgements.map((judgement) => receipt(judgement, false)) : decide(judgements, 0).receipts),
  ]
  const joined = receipts.map((line) =>
    line.scope === 'global' ? (global.shift() ?? line) : { ...line, binding: false },
  )
  return [...joined, ...global]
}

function judgeWindow(
  base: ConstraintScope & { kind: Constraint['kind']; limit: number; period: number | null },
  period: number | undefined,
  use: ScopeUsage,
  at: number,
  clock: number,
): Judgement {
  // The schema demands a period; a row from elsewhere without one is in doubt, and doubt denies.
  if (period === undefined) return { ...base, used: use.open, allowed: false, allowedAt: null }
  const windowStart = at - period
  const started = use.startsAfter(windowStart)
  const pending = clock > windowStart ? use.pending : 0
  const used = started + pending
  if (used < base.limit) return { ...base, used, allowed: true, allowedAt: at }
  if (base.limit === 0) return { ...base, used, allowed: false, allowedAt: null }
  const mustLeave = used - base.limit + 1
  const lastToLeave = mustLeave <= started ? use.startAfter(windowStart, mustLeave - 1) : clock
  return { ...base, used, allowed: false, allowedAt: lastToLeave + period }
}

function later(a: Judgement, b: Judgement): boolean {
  return (a.allowedAt ?? Number.POSITIVE_INFINITY) > (b.allowedAt ?? Number.POSITIVE_INFINITY)
}

function receipt(judgement: Judgement, binding: boolean): ConstraintReceipt {
  const { allowedAt, period, kind, scope, key, limit, used, allowed } = judgement
  return {
    kind,
    scope,
    key,
    limit,
    period: period === null ? null : formatDuration(period),
    used,
    allowed,
    allowed_at: allowedAt === null ? null : new Date(allowedAt).toISOString(),
    binding,
  }
}
