/** Judges a trigger by its constraints and by freezes; changes nothing. */
import {
  type ConstraintScope,
  decide,
  type Judgement,
  judge,
  judgeExclusive,
  judgeFailures,
  judgeNoFleet,
  judgeUnavailable,
  type ScopeUsage,
} from '../../../shared/constraints.ts'
import type { Decision } from '../../../shared/wire.ts'
import type { ResolvedConstraint } from '../../../shared/workflows.ts'
import { scopeName, shadowScopeName } from '../store/scopes.ts'
import type { LedgerStore } from '../store/store.ts'
import type { GlobalAnswer, Trigger } from '../types.ts'
import { explain, frozen, newDecision } from './receipt.ts'

/** What constraints read of a trigger. */
type Judged = Pick<Trigger, 'workflow' | 'datacenter' | 'node' | 'constraints' | 'exclusive' | 'fleets'>

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
  trigger: Judged,
  global: readonly Judgement[],
  at: number,
  clock: number,
  simulated = false,
): Judgement[] {
  const counted = [...global]
  return trigger.constraints.flatMap((constraint): Judgement[] => {
    if (constraint.isCentral) return counted.splice(0, 1)
    const scope = scopeOf(constraint, trigger)
    const node = scope.scope === 'node' ? scope.key : null
    switch (constraint.kind) {
      case 'exclusive':
        return trigger.node === null ? [] : [judgeExclusive(trigger.node, store.usage.onNode(trigger.node).length, at)]
      case 'maxUnavailable':
        return judgeFleets(store, constraint, trigger, at)
      case 'maxFailure':
        return [judgeFailures(constraint, scope, store.failures.usage(scopeName(trigger.workflow, node)), at)]
      case 'concurrency':
      case 'maxExecution':
      default: {
        const use = store.usage.of(trigger.workflow, node)
        return [judge(constraint, scope, simulated ? withShadow(store, trigger.workflow, node, use) : use, at, clock)]
      }
    }
  })
}

function judgeFleets(store: LedgerStore, constraint: ResolvedConstraint, trigger: Judged, at: number): Judgement[] {
  // Of a node without a type nothing can be said, and doubt denies.
  if (trigger.node !== null && trigger.fleets.length === 0) return [judgeNoFleet(constraint)]
  const busy = new Set(store.usage.busyNodes())
  return trigger.fleets.map(({ type, nodes, dead }) => {
    const gone = new Set(dead)
    const unavailable = nodes.filter((node) => node !== trigger.node && (busy.has(node) || gone.has(node))).length
    return judgeUnavailable(constraint, { type, known: nodes.length, unavailable }, at)
  })
}

/** Judges a trigger that isn't exclusive by the exclusive executions open on its node; a receipt line only when it denies. */
function excludedBy(store: LedgerStore, trigger: Judged, at: number): Judgement[] {
  if (trigger.node === null || isExclusive(trigger.constraints)) return []
  const excluding = store.usage
    .onNode(trigger.node)
    .filter((open) => open.exclusive || trigger.exclusive.includes(open.workflow)).length
  return excluding === 0 ? [] : [judgeExclusive(trigger.node, excluding, at)]
}

/** Adds the starts that shadow mode would have made. Of their length nothing is known: they count as starts alone. */
function withShadow(store: LedgerStore, workflow: string, node: string | null, use: ScopeUsage): ScopeUsage {
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

export function scopeOf(constraint: ResolvedConstraint, trigger: Judged): ConstraintScope {
  if (constraint.is_global) return { scope: 'global', key: 'global' }
  if (constraint.per === 'node' && trigger.node !== null) return { scope: 'node', key: trigger.node }
  // Without a node, `per = "node"` counts all nodes of the datacenter: never less safe than asked for.
  return { scope: 'datacenter', key: trigger.datacenter }
}

export function isExclusive(constraints: readonly ResolvedConstraint[]): boolean {
  return constraints.some(({ kind }) => kind === 'exclusive')
}
