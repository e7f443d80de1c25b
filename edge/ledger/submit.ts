/** Submission of triggers to a ledger: judge, record, forward, answer. */
import { v7 as uuidv7 } from 'uuid'
import { log } from '../../shared/log.ts'
import type { Decision } from '../../shared/wire.ts'
import { type Admission, admit, concludeReservation, type Denial } from './admission/admit.ts'
import { askGlobal, reserve } from './admission/global.ts'
import { judgeTrigger } from './admission/judge.ts'
import type { Storms } from './admission/storms.ts'
import type { OutboxRunner } from './outbox/runner.ts'
import type { Waiters } from './outbox/waiters.ts'
import type { Readiness } from './readiness.ts'
import { type ExecutionRow, toWire } from './store/execution-row.ts'
import type { LedgerStore } from './store/store.ts'
import type {
  ApprovalResult,
  Attribution,
  Evaluation,
  GlobalAnswer,
  ReserveAnswer,
  Submission,
  SubmissionResult,
  Trigger,
  Undecided,
} from './types.ts'

/** How long a trigger waits for an earlier one with its `Idempotency-Key` that is reserving; longer than that can take. */
const RESERVATION_WAIT_MS = 10_000
/** How often a trigger is judged again after one with its `Idempotency-Key` whose reservation failed. */
const MAX_TRIES = 5
/** A denial because executions are open has them verified, at most once in this time per workflow. */
const VERIFY_INTERVAL_MS = 2000

/** What submissions need of their ledger. */
export interface SubmitContext {
  store: LedgerStore
  env: Env
  datacenter: () => string
  readiness: Readiness
  outbox: OutboxRunner
  storms: Storms
  waiters: Waiters
  /** Runs a change in one transaction. */
  transaction: <Result>(change: () => Result) => Result
  /** Keeps the object awake until a promise has settled. */
  waitUntil: (promise: Promise<unknown>) => void
  /** Sets the alarm for what is due next. */
  arm: () => void
}

/** An approval of a waiting execution, whose trigger is submitted again. */
type Approved = { id: string; approval: Attribution } | null

export class Submissions {
  readonly #context: SubmitContext
  /** When open executions were last verified because of a denial, by workflow. */
  readonly #verifiedAt = new Map<string, number>()

  constructor(context: SubmitContext) {
    this.#context = context
  }

  /** Judges a trigger, records the decision, and forwards it when it is admitted; waits for the start as long as asked. */
  async submit(submission: Submission): Promise<SubmissionResult> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const result = await this.#tryOnce(submission, null)
      if (result !== null) return result
    }
    return undecidedBy('ledger_unavailable', 'earlier triggers with this key could not be decided')
  }

  /** What the answer to a trigger would be at `at` (milliseconds since the epoch); changes nothing. */
  async evaluate(trigger: Trigger, at: number): Promise<Evaluation> {
    const undecided = await this.#undecided(trigger)
    if (undecided !== null) return undecided
    const global = await askGlobal(this.#context.env, trigger, at)
    const { decision } = judgeTrigger(this.#context.store, trigger, global, at, Date.now())
    return { kind: 'judged', decision }
  }

  /** Admits a waiting execution if its constraints allow it now; else it still awaits approval. */
  async approve(submission: Submission, id: string, approval: Attribution): Promise<ApprovalResult> {
    const row = this.#context.store.executions.get(id)
    if (row === null) return { kind: 'unknown' }
    if (!this.#isWaiting(id)) return { kind: 'not_awaiting', execution: toWire(row) }
    log('info', 'approval', { execution: id, workflow: row.workflow, caller: approval.caller, reason: approval.reason })
    const result = await this.#tryOnce(submission, { id, approval })
    return result ?? { kind: 'not_awaiting', execution: toWire(this.#row(id)) }
  }

  /** Ends a reservation that was cut off. */
  abandonReservation(id: string): void {
    this.#endReservation(id, {
      kind: 'unavailable',
      detail: 'the coordinator stopped before the global ledger answered',
    })
  }

  /** One try at an admission; null when the rows changed meanwhile, and another try is due. */
  async #tryOnce(submission: Submission, approved: Approved): Promise<SubmissionResult | null> {
    const { trigger, idempotency } = submission
    const { store, env } = this.#context
    const isBound = idempotency !== null && store.keys.bound(trigger.workflow, trigger.caller, idempotency.key) !== null
    const undecided = isBound ? null : await this.#undecided(trigger)
    if (undecided !== null) return undecided
    const global = isBound ? null : await askGlobal(env, trigger, Date.now())
    // From here to the admission there is no await: the waiting execution can't change in between.
    if (approved !== null && !this.#isWaiting(approved.id)) return null
    return this.#follow(this.#admit(submission, global, approved), submission)
  }

  /** Brings an admission to its answer; null when the trigger has to be judged again. */
  async #follow(admission: Admission, { trigger, wait }: Submission): Promise<SubmissionResult | null> {
    const { store, env, datacenter, waiters } = this.#context
    switch (admission.kind) {
      case 'conflict':
        return admission
      case 'denied':
        return this.#denied(admission, trigger)
      case 'parked':
        return { kind: 'admitted', decision: admission.decision, execution: toWire(this.#row(admission.id)) }
      case 'admitted':
        this.#begin(admission.id)
        break
      case 'reserving': {
        const answer = await reserve(env, datacenter(), admission, trigger)
        const concluded = this.#endReservation(admission.id, answer) ?? this.#reservationOf(admission.id)
        if (concluded.kind === 'undecided') return concluded
        if (concluded.kind === 'denied') return this.#denied(concluded, trigger)
        this.#begin(admission.id)
        break
      }
      case 'replayed': {
        const isReserving = (): boolean => store.executions.get(admission.id)?.phase === 'reserving'
        await waiters.wait(admission.id, isReserving, RESERVATION_WAIT_MS)
        if (isReserving())
          return undecidedBy('ledger_unavailable', 'the first trigger with this key is not decided yet')
        if (store.executions.get(admission.id) === null) return null
      }
    }
    await waiters.wait(admission.id, () => store.executions.isPending(admission.id), wait)
    return {
      kind: admission.kind === 'replayed' ? 'replayed' : 'admitted',
      decision: this.#decisionOf(admission.id),
      execution: toWire(this.#row(admission.id)),
    }
  }

  #admit(submission: Submission, global: GlobalAnswer | null, approved: Approved): Admission {
    const { store, storms, transaction, arm } = this.#context
    return transaction(() => {
      const now = Date.now()
      const recordFor = (decision: Decision, node: string | null) => storms.recordFor(decision, node, now)
      const admission = admit(store, submission, { global, approved, recordFor }, now)
      arm()
      if (admission.kind !== 'replayed' && admission.kind !== 'conflict' && admission.kind !== 'reserving') {
        logDecision(admission.decision, admission.kind === 'denied' ? admission.detail : null)
      }
      return admission
    })
  }

  /** Ends a reservation by its GlobalLedger's answer, and wakes who waits for it. Null when it had ended before. */
  #endReservation(id: string, answer: ReserveAnswer): (Admission & { kind: 'admitted' | 'denied' }) | null {
    const { store, storms, waiters, transaction, arm } = this.#context
    const concluded = transaction(() => {
      const now = Date.now()
      const recordFor = (decision: Decision, node: string | null) => storms.recordFor(decision, node, now)
      const admission = concludeReservation(store, id, answer, { recordFor, newId: () => uuidv7() }, now)
      arm()
      return admission
    })
    if (concluded !== null) logDecision(concluded.decision, concluded.kind === 'denied' ? concluded.detail : null)
    waiters.wake(id)
    return concluded
  }

  /** How a reservation ended that was concluded elsewhere. */
  #reservationOf(id: string): { kind: 'admitted' } | Undecided {
    const decision = this.#context.store.decisions.get(id)
    if (decision?.outcome === 'admitted') return { kind: 'admitted' }
    const late = undecidedBy('ledger_unavailable', 'the ledger that counts all datacenters took too long to answer')
    return decision?.outcome === 'denied' ? { ...late, decision } : late
  }

  #denied(denial: Denial, { workflow, node }: Trigger): SubmissionResult {
    const { decision, detail } = denial
    if (decision.code === 'ledger_unavailable') return { ...undecidedBy('ledger_unavailable', detail), decision }
    if (decision.allowed_at === null && decision.code === 'constraint_denied') this.#verifyOpen(workflow, node)
    return denial
  }

  #verifyOpen(workflow: string, node: string | null): void {
    const now = Date.now()
    if (now - (this.#verifiedAt.get(workflow) ?? 0) < VERIFY_INTERVAL_MS) return
    this.#verifiedAt.set(workflow, now)
    this.#context.outbox.verifyOpen(workflow, node)
  }

  /** Whether an execution awaits approval, and may still be approved. */
  #isWaiting(id: string): boolean {
    const row = this.#context.store.executions.get(id)
    return row?.phase === 'waiting' && Date.now() < row.validUntil
  }

  /** Makes the first attempt of what was admitted just now; one that is late by now is voided. */
  #begin(id: string): void {
    const { outbox, waitUntil } = this.#context
    waitUntil(outbox.step(id, Date.now() < this.#row(id).validUntil))
  }

  /** Why nothing can be decided now; null when it can. */
  async #undecided({ starting }: Trigger): Promise<Undecided | null> {
    if (starting !== null) return undecidedBy('starting', starting)
    const problem = await this.#context.readiness.problem()
    return problem === null ? null : undecidedBy(problem.code, problem.detail)
  }

  #row(id: string): ExecutionRow {
    const row = this.#context.store.executions.get(id)
    if (row === null) throw new Error(`execution ${id} is not in this ledger`)
    return row
  }

  #decisionOf(id: string): Decision {
    const decision = this.#context.store.decisions.get(id)
    if (decision === null) throw new Error(`decision ${id} is not in this ledger`)
    return decision
  }
}

function logDecision(decision: Decision, detail: string | null): void {
  log('info', 'decision', {
    decision: decision.id,
    workflow: decision.workflow,
    target: decision.target,
    outcome: decision.outcome,
    code: decision.code,
    caller: decision.caller,
    source: decision.trigger,
    reason: decision.reason,
    ...(detail === null ? {} : { detail, allowed_at: decision.allowed_at }),
  })
}

function undecidedBy(code: Undecided['code'], detail: string): Undecided {
  return { kind: 'undecided', code, detail, decision: null }
}
