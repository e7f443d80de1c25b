/** Messages between the Worker and a datacenter's ledger. Everything is plain data: it crosses an RPC boundary. */
import type { Constraint } from '../../shared/config.ts'
import type { Judgement } from '../../shared/constraints.ts'
import type { Decision, Execution, Target, TriggerMetadata } from '../../shared/wire.ts'
import type { ResolvedConstraint } from '../../shared/workflows.ts'

/** Why no worker can take a start now; the code of the denial and its detail. */
export interface Unavailable {
  code: 'no_worker' | 'workflow_not_registered'
  detail: string
}

/** It is not known yet whether a worker can take a start. */
export interface Starting {
  code: 'starting'
  detail: string
}

/** The nodes of one type in a datacenter, as its roster knows them. */
export interface Fleet {
  type: string
  /** All known nodes, dead ones included. */
  nodes: readonly string[]
  dead: readonly string[]
}

/**
 * A validated, authorised and resolved trigger: the one shape in which it goes to the ledger. Self-contained: the ledger
 * needs no config to judge or to forward it.
 */
export interface Trigger {
  workflow: string
  datacenter: string
  caller: string
  target: Target
  /** The target node, null when the target is a type or a datacenter. */
  node: string | null
  /** Where on-host activities run. */
  taskQueue: string
  reason: string | null
  trigger: TriggerMetadata | null
  /** What happens when it is admitted: start at once, wait for approval, or only record it. */
  mode: 'auto' | 'approve' | 'shadow'
  constraints: readonly ResolvedConstraint[]
  /** The workflows that are exclusive on their nodes now. */
  exclusive: readonly string[]
  /** The types of the node, when a constraint depends on numbers of nodes. */
  fleets: readonly Fleet[]
  /** Why it can't be judged yet, null when it can. */
  starting: string | null
  /** The configuration that it was resolved by; absent in what an older version has stored. */
  config?: NonNullable<Decision['config']>
  /** All datacenters of the coordinator, over which central constraints are counted. */
  datacenters: readonly string[]
  /** Null when a live worker can take it. */
  unavailable: Unavailable | null
  start: StartParameters
  /** How long it may wait for its start, in milliseconds. */
  validFor: number
}

/** How an admitted trigger is started in Temporal; stored with the execution. Times in milliseconds. */
export interface StartParameters {
  namespace: string
  workflowType: string
  /** Where the workflow's own tasks run. */
  workflowQueue: string
  input: Record<string, unknown>
  timeout: number
  traceparent: string | null
  /** Name of the receiver that is notified when it failed, expired or was lost, or awaits approval; null for none. */
  receiver: string | null
}

/** The argument of {@link Ledger.submit}. */
export interface Submission {
  /** Id of the decision, and of the execution if it is admitted; made by the caller, so that it knows what to ask for. */
  id: string
  trigger: Trigger
  /** Set when the caller gave an `Idempotency-Key`. */
  idempotency: { key: string; bodyHash: string } | null
  /** How long the answer may wait for Temporal's confirmation, in milliseconds. */
  wait: number
}

/** Why nothing can be decided now. */
export interface Undecided {
  kind: 'undecided'
  code: 'starting' | 'clock_skew' | 'ledger_unavailable'
  detail: string
  /** Set when it was recorded. */
  decision: Decision | null
}

/**
 * An admitted trigger, or one that awaits approval or was only recorded, as its decision says. `replayed` when it was
 * admitted earlier, under the same `Idempotency-Key`.
 */
export interface Admitted {
  kind: 'admitted' | 'replayed'
  decision: Decision
  execution: Execution
}

/** The ledger's answer to a {@link Submission}. */
export type SubmissionResult =
  | Admitted
  | { kind: 'denied'; decision: Decision; detail: string }
  | { kind: 'conflict' }
  | Undecided

/** Answer to a question. */
export type Evaluation = { kind: 'judged'; decision: Decision } | Undecided

/** Who did something by hand, and why. */
export interface Attribution {
  caller: string
  reason: string | null
}

/** Answer to an approval. */
export type ApprovalResult = SubmissionResult | { kind: 'not_awaiting'; execution: Execution } | { kind: 'unknown' }

/** Answer to a request that needs an execution to be in a certain state. */
export type ChangeResult = { kind: 'changed' | 'refused'; execution: Execution } | { kind: 'unknown' }

/** The state of an execution as reported to a GlobalLedger: when it started and ended; ended without a start is void. */
export interface UsageReport {
  startedAt: number | null
  closedAt: number | null
  /** The attempt of the reservation that it belongs to, or a later one. */
  attempt: number
  /** Grows from one report of a datacenter to the next, so that a late one cannot be taken for a newer one. */
  sequence: number
}

/** The argument of a GlobalLedger. Constraints are those with `is_global` only. */
export interface GlobalQuestion {
  workflow: string
  constraints: readonly Constraint[]
  /** All datacenters whose executions count. */
  datacenters: readonly string[]
  /** The time judged, and the present, in milliseconds. */
  at: number
  clock: number
}

/** A GlobalLedger's answer. */
export type GlobalAnswer = { kind: 'judged'; judgements: Judgement[] } | { kind: 'unavailable'; detail: string }

/** Answer to a reservation; `void` when its execution was reported void before. */
export type ReserveAnswer =
  | { kind: 'reserved' | 'denied'; judgements: Judgement[] }
  | { kind: 'unavailable' | 'void'; detail: string }

/** The rows that a datacenter's ledger hands to a new GlobalLedger. */
export type HandIn =
  | { kind: 'not_ready'; detail: string }
  | {
      kind: 'rows'
      incarnation: string
      starts: { number: number; at: number; execution: string }[]
      open: { id: string; admittedAt: number; startedAt: number | null }[]
      more: boolean
    }

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

/** The newest items of one ledger, with the keys that order them; `more` when it has older ones. */
export interface LedgerPage<Item> {
  entries: { key: string; item: Item }[]
  more: boolean
}

/** Counts for the metrics of one ledger. */
export interface LedgerMetrics {
  decisions: { workflow: string; outcome: string; code: string; count: number }[]
  closed: { workflow: string; status: string; count: number }[]
  open: { workflow: string; count: number; overdue: number; stuck: number }[]
  /** Executions that were found to have been started without the coordinator. */
  unadmitted: { workflow: string; count: number }[]
  pending: number
  /** What GlobalLedgers have not acknowledged yet. */
  unsettled: number
  /** Scopes whose `maxFailure` is tripped. */
  tripped: string[]
  /** Freezes that hold. */
  frozen: number
  /** Escalations that are still to be sent, and the outcomes of the others. */
  escalations: { pending: number; outcomes: { receiver: string; outcome: 'sent' | 'given_up'; count: number }[] }
}
