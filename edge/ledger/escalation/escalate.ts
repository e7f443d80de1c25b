/** Escalations: written in the turn that changes the execution, and sent by the alarm. */
import { ESCALATED_STATUSES, type EscalatedStatus, type ExecutionStatus } from '../../../shared/wire.ts'
import { escalationMessage } from '../../notify/message.ts'
import { type ExecutionRow, toWire } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'

/**
 * Escalates the status of an execution, if it was admitted, its workflow has a receiver and its status is one of those
 * that are escalated.
 *
 * @param at      since when it is so, in milliseconds since the epoch
 * @param tripped the scopes whose `maxFailure` its end has tripped
 */
export function escalate(
  store: LedgerStore,
  { id, forward: { receiver } }: Pick<ExecutionRow, 'id' | 'forward'>,
  at: number,
  tripped: readonly string[] = [],
): void {
  const row = receiver === null ? null : store.executions.get(id)
  if (receiver === null || row === null || !row.admitted || !isEscalated(row.status)) return
  const { status, validUntil } = row
  const change = { status, at, validUntil, tripped }
  const message = escalationMessage({ ...toWire(row), id }, store.decisions.get(id), change)
  store.escalations.put(id, status, receiver, message)
}

function isEscalated(status: ExecutionStatus): status is EscalatedStatus {
  return (ESCALATED_STATUSES as readonly ExecutionStatus[]).includes(status)
}
