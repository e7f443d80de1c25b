/** What the Worker and a datacenter's ledger say to each other. Everything is plain data: it crosses an RPC boundary. */
import type { Constraint } from '../../shared/config.ts'
import type { Decision, Execution, Target, TriggerSource } from '../../shared/wire.ts'

/** Why a start can't be routed now; the code of the denial and what to tell the caller. */
export interface Unavailable {
  code: 'no_worker' | 'workflow_not_registered'
  detail: string
}

/** A validated, authorised and routed trigger. Self-contained: the ledger needs no config to judge or to forward it. */
export interface Trigger {
  workflow: string
  datacenter: string
  caller: string
  target: Target
  /** The node it is aimed at, null when it is aimed at a type or a datacenter. */
  node: string | null
  /** Where on-host activities run. */
  taskQueue: string
  reason: string | null
  trigger: TriggerSource | null
  constraints: readonly Constraint[]
  /** Null when a live worker can take it. */
  unavailable: Unavailable | null
}

/** How an admitted trigger is forwarded; stored with the execution. Times in milliseconds. */
export interface ForwardOrder {
  namespace: string
  workflowType: string
  /** Where the workflow's own tasks run. */
  workflowQueue: string
  input: Record<string, unknown>
  timeout: number
  traceparent: string | null
}

/** What is asked of {@link Ledger.submit}. */
export interface Submission {
  /** Id of the decision, and of the execution if it is admitted; made by the caller, so that it knows what to ask for. */
  id: string
  trigger: Trigger
  order: ForwardOrder
  /** How long the trigger may wait for its start, in milliseconds. */
  validFor: number
  /** Set when the caller gave an `Idempotency-Key`. */
  idempotency: { key: string; bodyHash: string } | null
  /** How long the answer may wait for Temporal's confirmation, in milliseconds. */
  wait: number
}

/** The ledger's answer to a {@link Submission}. */
export type SubmissionResult =
  | { kind: 'admitted'; decision: Decision; execution: Execution }
  | { kind: 'replayed'; decision: Decision; execution: Execution }
  | { kind: 'denied'; decision: Decision; detail: string }
  | { kind: 'conflict' }

/** Answer to a request to cancel. */
export type CancelResult = { kind: 'canceling' | 'already_closed'; execution: Execution } | { kind: 'unknown' }

/** Filters of the lists; undefined means any. `before` is the id after which a page begins, newest first. */
export interface ListQuery {
  limit: number
  before?: string
  workflow?: string
  node?: string
}
export interface ExecutionQuery extends ListQuery {
  status?: string
}
export interface DecisionQuery extends ListQuery {
  outcome?: string
  code?: string
  caller?: string
  /** Milliseconds since the epoch. */
  since?: number
}

/** The newest items of one ledger; `more` when it has older ones. */
export interface LedgerPage<Item> {
  items: Item[]
  more: boolean
}

/** Counts for the metrics of one ledger. */
export interface LedgerMetrics {
  decisions: { workflow: string; outcome: string; code: string; count: number }[]
  closed: { workflow: string; status: string; count: number }[]
  open: { workflow: string; count: number; overdue: number }[]
  pending: number
}
