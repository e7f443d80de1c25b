/** The breaker of `maxFailure`: once its limit is reached it is tripped, until an operator resets it. */

import type { ExecutionRow } from '../store/execution-row.ts'
import { scopeName, scopesOf } from '../store/scopes.ts'
import type { LedgerStore } from '../store/store.ts'
import type { Trigger } from '../types.ts'
import { scopeOf } from './judge.ts'

/** Trips each `maxFailure` of a trigger that its present limit has reached, however the window moves on later. */
export function tripReached(store: LedgerStore, trigger: Trigger, now: number): void {
  for (const constraint of trigger.constraints) {
    if (constraint.kind !== 'maxFailure' || constraint.period === undefined) continue
    const { scope, key } = scopeOf(constraint, trigger)
    const name = scopeName(trigger.workflow, scope === 'node' ? key : null)
    const count = store.failures.usage(name).failuresAfter(now - constraint.period)
    if (count >= constraint.value) store.failures.trip(name, now, count)
  }
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
    const count = store.failures.usage(scope).failuresAfter(closedAt - constraint.period)
    return count >= constraint.value ? [{ scope, count }] : []
  })
}
