/** Whether hosts may change anything for an execution: it must be open, and within its limits if it was reset. */
import type { Clearance } from '../../../shared/heartbeat.ts'
import type { ExecutionRow } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'
import { type AuditContext, reopen } from './audit.ts'

/** What a host is told of one execution. */
export async function clearanceOf(
  context: Pick<AuditContext, 'store' | 'temporal' | 'now'>,
  id: string,
): Promise<Clearance> {
  const { executions } = context.store
  const known = executions.get(id)
  if (known === null || !known.admitted) return { id, status: 'unknown', first_run_id: null }
  // It may have been reset since the last audit.
  if (known.closedAt !== null) await reopen(context, known)
  const row = executions.get(id) ?? known
  const first_run_id = row.firstRunId
  if (row.closedAt !== null) return { id, status: 'closed', first_run_id }
  return { id, status: exceedsLimits(context.store, row) ? 'over_limit' : 'open', first_run_id }
}

/** Whether as many others are open, since it had ended, as may be open at the same time. */
function exceedsLimits({ usage }: LedgerStore, row: ExecutionRow): boolean {
  if (row.reopenedAt === null) return false
  return row.limits.some(({ kind, value, per }) => {
    if (kind !== 'concurrency' || value === undefined) return false
    return usage.othersOpen(row.workflow, per === 'node' ? row.node : null, row.id) >= value
  })
}
