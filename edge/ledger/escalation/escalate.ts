/** Escalations: written in the turn that changes the execution, and sent by the alarm. */
import { ESCALATED_STATUSES, type EscalatedStatus, type ExecutionStatus } from '../../../shared/wire.ts'
import { escalationMessage } from '../../notify/message.ts'
import { type ExecutionRow, toWire } from '../store/execution-row.ts'
import type { LedgerStore } from '../store/store.ts'

/** More about an escalation. */
export interface EscalationContext {
  /** What is escalated, when it is not its status. */
  status?: EscalatedStatus
  /** The scopes whose `maxFailure` its end has tripped. */
  tripped?: readonly string[]
}

/**
 * Escalates the status of an execution, if it was admitted, its workflow has a receiver and its status is one of those
 * that are escalated.
 *
 * @param at since when it is so, in milliseconds since the epoch
 */
export function escalate(
  store: LedgerStore,
  { id, forward: { receiver } }: Pick<ExecutionRow, 'id' | 'forward'>,
  at: number,
  { tripped = [], ...about }: EscalationContext = {},
): void {
  const row = receiver === null ? null : store.executions.get(id)
  const status = about.status ?? row?.status
  if (receiver === null || row === null || !row.admitted || status === undefined || !isEscalated(status)) return
  const { validUntil } = row
  const change = { status, at, validUntil, tripped }
  const message = escalationMessage({ ...toWire(row), id }, store.decisions.get(id), change)
  store.escalations.put(id, status, receiver, message)
}

function isEscalated(status: ExecutionStatus | EscalatedStatus): status is EscalatedStatus {
  return (ESCALATED_STATUSES as readonly string[]).includes(status)
}
