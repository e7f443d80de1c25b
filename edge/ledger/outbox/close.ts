/** The end of an execution. */
import { log } from '../../../shared/log.ts'
import { reachedFailures } from '../admission/breaker.ts'
import { escalate } from '../escalation/escalate.ts'
import type { ExecutionRow } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'

/** Ends an execution, trips the limits that its end reaches, and escalates it. Idempotent: only the first end counts. */
export function close(
  store: LedgerStore,
  row: ExecutionRow,
  status: ExecutionRow['status'],
  at: number,
  result: unknown,
  error: ExecutionRow['error'],
): void {
  if (!store.executions.close(row.id, status, at, bounded(result), boundedError(error))) return
  const reached = reachedFailures(store, row, at)
  const tripped = reached.filter(({ scope, count }) => store.failures.trip(scope, at, count))
  for (const { scope, count } of tripped) {
    log('error', 'tripped', { scope, count, execution: row.id, detail: 'nothing more is admitted until it is reset' })
  }
  store.escalations.end(row.id, at)
  const scopes = tripped.map(({ scope }) => scope)
  escalate(store, row, at, { tripped: scopes })
  log(status === 'completed' ? 'info' : 'warn', 'closed', {
    execution: row.id,
    workflow: row.workflow,
    target: row.target,
    status,
    after_ms: at - row.admittedAt,
    ...(error === null ? {} : { detail: error.message, cause: error.cause }),
  })
}

/** The largest result that is kept, in bytes of JSON; Temporal keeps the whole. */
const MAX_RESULT_BYTES = 256 * 1024

function boundedError(error: ExecutionRow['error']): ExecutionRow['error'] {
  if (error === null || JSON.stringify(error).length <= MAX_RESULT_BYTES) return error
  return { type: error.type, message: error.message.slice(0, MAX_RESULT_BYTES / 2), truncated: true }
}

function bounded(result: unknown): unknown {
  const size = result === null ? 0 : JSON.stringify(result).length
  return size <= MAX_RESULT_BYTES ? result : { truncated: true, bytes: size }
}
