/** The row of an execution. A new column is one entry here: table, statements and mapping follow from it. */
import type { Constraint } from '../../../shared/config.ts'
import type { Decision, Execution, ExecutionError, ExecutionStatus } from '../../../shared/wire.ts'
import type { StartParameters } from '../types.ts'
import { flag, integer, json, nullableInteger, nullableJson, nullableText, type RowOf, text } from './column.ts'

/** The state of an execution. `waiting` (for approval) and `closed` occupy nothing; all others do. */
export type Phase = 'reserving' | 'waiting' | 'starting' | 'voiding' | 'running' | 'lost' | 'closed'

/** Everything that an attempt to start sends, and what the execution is shown with. */
export interface ForwardRecord extends StartParameters {
  datacenter: string
  reason: string | null
  trigger: Decision['trigger']
}

/** Times are in milliseconds since the epoch. */
export const EXECUTION_COLUMNS = {
  id: text('id'),
  /** In Temporal; equal to the id, except for an execution that was started without the coordinator. */
  workflowId: text('workflow_id'),
  /** False for an execution that was started without the coordinator. */
  admitted: flag('admitted'),
  workflow: text('workflow'),
  node: nullableText('node'),
  target: json<Execution['target']>('target'),
  taskQueue: text('task_queue', 'admission'),
  forward: forward(),
  phase: text<Phase>('phase', 'step'),
  status: text<ExecutionStatus>('status', 'step'),
  /** Nothing else may be open on its node. */
  exclusive: flag('exclusive', 'admission'),
  /** The constraints it was judged by. */
  limits: json<readonly Constraint[]>('limits', 'admission'),
  /** Whether its start and end are reported to the workflow's GlobalLedger. */
  central: flag('central', 'admission'),
  admittedAt: integer('admitted_at', 'admission'),
  validUntil: integer('valid_until'),
  /** From when on it is reported overdue while it is open. */
  overdueAt: nullableInteger('overdue_at', 'admission'),
  attempts: integer('attempts', 'step'),
  /** Whether an attempt may have reached Temporal and started it. */
  maybeSent: flag('maybe_sent', 'step'),
  /** When the outbox's next step is due; null once closed. */
  nextAt: nullableInteger('next_at', 'step'),
  runId: nullableText('run_id', 'step'),
  /** The run that its start began: resets continue it, and any other is none of the admission. */
  firstRunId: nullableText('first_run_id'),
  /** Temporal's id of the namespace in which its start was confirmed. */
  namespaceId: nullableText('namespace_id'),
  /** When the start was confirmed. */
  startedAt: nullableInteger('started_at'),
  closedAt: nullableInteger('closed_at'),
  /** When it was found to run again after its end, as after a reset. */
  reopenedAt: nullableInteger('reopened_at'),
  /** Why a start that is being voided ends. */
  ending: nullableJson<{ status: ExecutionStatus; message: string }>('ending', 'step'),
  /** The reason of a cancellation that Temporal has not acknowledged yet. */
  cancel: nullableText('cancel', 'step'),
  result: nullableJson<unknown>('result'),
  error: nullableJson<ExecutionError>('error', 'step'),
} as const

/** One execution as it is stored. */
export type ExecutionRow = RowOf<typeof EXECUTION_COLUMNS>

/** Whether an execution in this phase counts as open. Stored as the column `open`, for the indexes. */
export function occupies(phase: Phase): boolean {
  return phase !== 'waiting' && phase !== 'closed'
}

/** Whether an execution has no id for others: it was not admitted, or not yet. */
export function isHidden({ admitted, phase, status }: ExecutionRow): boolean {
  return !admitted || (phase === 'reserving' && status === 'pending')
}

/** The execution as it goes over the wire. */
export function toWire(row: ExecutionRow): Execution {
  return {
    id: row.admitted ? row.id : null,
    workflow: row.workflow,
    workflow_id: row.workflowId,
    run_id: row.runId,
    datacenter: row.forward.datacenter,
    task_queue: row.taskQueue,
    target: row.target,
    status: row.status,
    result: row.result,
    error: row.error,
    admitted_at: row.admitted ? new Date(row.admittedAt).toISOString() : null,
    started_at: row.startedAt === null ? null : new Date(row.startedAt).toISOString(),
    closed_at: row.closedAt === null ? null : new Date(row.closedAt).toISOString(),
  }
}

/** Rows that were written before there were receivers have none. */
function forward(): ReturnType<typeof json<ForwardRecord>> {
  const column = json<ForwardRecord>('forward', 'admission')
  return {
    ...column,
    read(stored) {
      const record = column.read(stored) as Omit<ForwardRecord, 'receiver'> & Partial<Pick<ForwardRecord, 'receiver'>>
      return { ...record, receiver: record.receiver ?? null }
    },
  }
}
