/** The message about an execution that is sent to a receiver. */
import type { Decision, EscalatedStatus, Escalation, Execution } from '../../shared/wire.ts'
import { placeOf } from './wording.ts'

/** The largest message, in bytes of JSON. */
const MAX_MESSAGE_BYTES = 256 * 1024
/** How much is kept of evidence that doesn't fit, in characters. */
const TRUNCATED_EVIDENCE_LENGTH = 8 * 1024
/** Length of a reason within a summary, in characters. */
const MAX_REASON_LENGTH = 300

/** How an execution came to be in a status that is escalated. */
export interface StatusChange {
  status: EscalatedStatus
  /** Since when, in milliseconds since the epoch. */
  at: number
  /** Until when it may start, in milliseconds since the epoch. */
  validUntil: number
  /** Scopes whose `maxFailure` it has tripped. */
  tripped: readonly string[]
}

/** The message on an execution in a status; evidence that would make it too large is cut, and says so. */
export function escalationMessage(
  execution: Execution & { id: string },
  decision: Decision | null,
  change: StatusChange,
): Escalation {
  const { status, at, tripped } = change
  return bounded({
    type: `execution.${status}`,
    // Not random: should it be written again after a disk was lost, its receiver knows it.
    id: `${execution.id}_${status}`,
    at: new Date(at).toISOString(),
    summary: summary(execution, decision, change),
    workflow: execution.workflow,
    datacenter: execution.datacenter,
    execution,
    decision,
    tripped: [...tripped],
  })
}

function summary(
  execution: Execution,
  decision: Decision | null,
  { status, validUntil, tripped }: StatusChange,
): string {
  const what = `${execution.workflow} ${placeOf(execution.target, execution.datacenter)} ${SAID[status]}`
  const until = status === 'awaiting_approval' ? ` until ${new Date(validUntil).toISOString()}` : ''
  const why = status === 'lost' ? LOST : status === 'awaiting_approval' ? decision?.reason : reasonOf(execution)
  const because = why === null || why === undefined || why === '' ? '' : `: ${oneLine(why)}`
  const limits =
    tripped.length === 0 ? '' : `. maxFailure tripped (${tripped.join(', ')}): nothing more until it is reset`
  return `${what}${until}${because}${limits}`
}

const SAID: Readonly<Record<EscalatedStatus, string>> = {
  failed: 'failed',
  timed_out: 'timed out',
  terminated: 'was terminated',
  expired: 'was not started',
  lost: 'is lost',
  stuck: 'makes no progress',
  awaiting_approval: 'waits for approval',
}
const LOST = 'Temporal no longer knows it; it still counts, until it is found or settled'

/** Why it failed. An error that only says that something within it failed is replaced by its cause. */
function reasonOf({ error }: Execution): string | null {
  let reason: unknown = error
  while (isRecord(reason) && WRAPPERS.has(reason['type']) && isRecord(reason['cause'])) reason = reason['cause']
  return isRecord(reason) && typeof reason['message'] === 'string' ? reason['message'] : null
}

const WRAPPERS: ReadonlySet<unknown> = new Set(['ActivityFailure', 'Failure'])

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_REASON_LENGTH ? line : `${line.slice(0, MAX_REASON_LENGTH).toWellFormed()}…`
}

function bounded(message: Escalation): Escalation {
  const { execution } = message
  if (sizeOf(message) <= MAX_MESSAGE_BYTES) return message
  const { result, error } = execution
  return {
    ...message,
    execution: {
      ...execution,
      result: result === null ? null : { truncated: true, bytes: sizeOf(result), beginning: beginningOf(result) },
      error:
        error === null
          ? null
          : {
              type: error.type.slice(0, MAX_REASON_LENGTH).toWellFormed(),
              message: error.message.slice(0, TRUNCATED_EVIDENCE_LENGTH).toWellFormed(),
              truncated: true,
              bytes: sizeOf(error),
              beginning: beginningOf(error),
            },
    },
  }
}

function beginningOf(value: unknown): string {
  return JSON.stringify(value).slice(0, TRUNCATED_EVIDENCE_LENGTH).toWellFormed()
}

function sizeOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).byteLength
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
