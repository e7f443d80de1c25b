import type { Caller } from '../../shared/callers.ts'
import type { StartBody } from '../../shared/wire.ts'
import type { Workflow } from '../../shared/workflows.ts'

/** A request to run a workflow: the caller is authorised for it, nothing else is checked yet. */
export interface TriggerRequest extends Omit<StartBody, 'input'> {
  workflow: Workflow
  caller: Caller
  /** As it was sent. */
  input: Record<string, unknown>
  /** JSON Pointer (RFC 6901) of where the trigger is in the request's body. */
  pointer: string
  /** What identifies a resend, and the JSON that must then be equal; null when resends are not recognised. */
  idempotency: { key: string; content: unknown } | null
  /** How long to wait for Temporal's confirmation of the start, in milliseconds. */
  wait: number
  /** W3C Trace Context of the request; null when it has none. */
  traceparent: string | null
}
