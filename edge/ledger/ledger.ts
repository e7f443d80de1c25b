import { DurableObject } from 'cloudflare:workers'
import { v7 as uuidv7 } from 'uuid'
import { MAX_PERIOD_MS } from '../../shared/config.ts'
import type { Judgement } from '../../shared/constraints.ts'
import type { Clearance } from '../../shared/heartbeat.ts'
import { log } from '../../shared/log.ts'
import { SIGNATURE_TOLERANCE_MS } from '../../shared/signature-tolerance.ts'
import type { Decision, Execution, ExecutionStatus, Freeze } from '../../shared/wire.ts'
import type { ResolvedConstraint } from '../../shared/workflows.ts'
import { config } from '../config.ts'
import { migrate } from '../migrate.ts'
import type { Notifier } from '../notify/notifier.ts'
import { judgeConstraints } from './admission/judge.ts'
import { Storms } from './admission/storms.ts'
import { LedgerAlarm } from './alarm.ts'
import { EscalationSender } from './escalation/sender.ts'
import { close } from './outbox/close.ts'
import { beginVoid } from './outbox/outbox.ts'
import { OutboxRunner } from './outbox/runner.ts'
import { Waiters } from './outbox/waiters.ts'
import { Readiness } from './readiness.ts'
import { Reconciler } from './reconcile/reconciler.ts'
import { addMissingColumns } from './store/column.ts'
import { EXECUTION_COLUMNS, type ExecutionRow, isHidden, toWire } from './store/execution-row.ts'
import type { MessageAnswer } from './store/messages.ts'
import { LEDGER_MIGRATIONS } from './store/schema.ts'
import { scopeName } from './store/scopes.ts'
import { LedgerStore } from './store/store.ts'
import { Submissions } from './submit.ts'
import type {
  ApprovalResult,
  Attribution,
  ChangeResult,
  DecisionQuery,
  Evaluation,
  ExecutionQuery,
  HandIn,
  LedgerMetrics,
  LedgerPage,
  Submission,
  SubmissionResult,
  Trigger,
} from './types.ts'

/** How long an attempt to deliver a signed message is remembered: from the earliest to the latest time it is valid. */
const MESSAGE_LIFE_MS = 2 * SIGNATURE_TOLERANCE_MS + 1000
/** Starts that one page handed to a GlobalLedger holds. */
const HAND_IN_PAGE = 5000

/**
 * The ledger of one datacenter: admits or denies each trigger in one transaction over all its constraints, keeps
 * executions and decisions, and brings what it admitted to its end through the outbox.
 *
 * Reached by name, which is the datacenter's. Expected outcomes are values; only faults throw. This class is the RPC
 * surface; submissions, the alarm, the outbox and reconciliation are in files beside it.
 */
export class LedgerObject extends DurableObject<Env> {
  readonly #store: LedgerStore
  readonly #reconciler: Reconciler
  readonly #readiness: Readiness
  readonly #outbox: OutboxRunner
  readonly #submissions: Submissions
  readonly #alarm: LedgerAlarm

  /** @param notifiers of the receivers that escalations may go to */
  constructor(ctx: DurableObjectState, env: Env, notifiers: readonly Notifier[]) {
    super(ctx, env)
    migrate(ctx.storage, LEDGER_MIGRATIONS)
    addMissingColumns(ctx.storage.sql, 'executions', EXECUTION_COLUMNS)
    const store = new LedgerStore(ctx.storage.sql)
    if (store.facts.get('incarnation') === null) store.facts.set('incarnation', uuidv7())
    const datacenter = (): string => this.#datacenter
    const transaction = <Result>(change: () => Result): Result => ctx.storage.transactionSync(change)
    const arm = (): void => this.#alarm.arm()
    const waiters = new Waiters()
    const storms = new Storms()
    const temporal = (namespace: string): ReturnType<Readiness['temporal']> => this.#readiness.temporal(namespace)
    const signer = (): ReturnType<Readiness['signer']> => this.#readiness.signer()
    const reconciler = new Reconciler({ store, config, env, datacenter, temporal, transaction, signer })
    const identity = `resile-coordinator/${ctx.id.name ?? 'ledger'}`
    const readiness = new Readiness(env, config, identity, () => reconciler.importOnce())
    const outbox = new OutboxRunner({
      store,
      waiters,
      arm,
      temporal,
      sendProblem: () => readiness.sendProblem(),
      sign: async (permit) => (await readiness.signer()).sign(permit),
      signMemo: async (memo) => (await readiness.signer()).signMemo(memo),
      knownNamespaceId: (namespace) => readiness.knownNamespaceId(namespace),
      freshNamespaceId: (namespace) => readiness.freshNamespaceId(namespace),
      abandonReservation: (id) => this.#submissions.abandonReservation(id),
    })
    const escalations = new EscalationSender({
      store: store.escalations,
      config,
      env,
      notifiers,
      now: () => Date.now(),
      afterAttempt: arm,
    })
    this.#store = store
    this.#reconciler = reconciler
    this.#readiness = readiness
    this.#outbox = outbox
    this.#submissions = new Submissions({
      store,
      env,
      datacenter,
      readiness,
      outbox,
      storms,
      waiters,
      transaction,
      waitUntil: (promise) => ctx.waitUntil(promise),
      arm,
    })
    this.#alarm = new LedgerAlarm({ ctx, env, store, datacenter, outbox, reconciler, escalations, storms })
  }

  override alarm(): Promise<void> {
    return this.#alarm.run()
  }

  /** Judges a trigger, records the decision, and forwards it when it is admitted; waits for the start as long as asked. */
  submit(submission: Submission): Promise<SubmissionResult> {
    this.#alarm.noticeClock()
    return this.#submissions.submit(submission)
  }

  /** What the answer to a trigger would be at `at` (milliseconds since the epoch); changes nothing. */
  evaluate(trigger: Trigger, at: number): Promise<Evaluation> {
    return this.#submissions.evaluate(trigger, at)
  }

  /** The trigger of an execution that awaits approval, which approval judges again; null when it does not. */
  waiting(id: string): Trigger | null {
    const row = this.#store.executions.get(id)
    return row?.phase === 'waiting' ? this.#store.drafts.get<Trigger>(id) : null
  }

  /** Admits a waiting execution if its constraints allow it now; else it still awaits approval. */
  approve(submission: Submission, id: string, approval: Attribution): Promise<ApprovalResult> {
    this.#alarm.noticeClock()
    return this.#submissions.approve(submission, id, approval)
  }

  /** Ends a waiting execution: it never starts. */
  reject(id: string, { caller, reason }: Attribution): ChangeResult {
    return this.#change(id, 'waiting', (row) => {
      log('info', 'rejection', { execution: id, workflow: row.workflow, caller, reason })
      const message = `rejected by ${caller}${reason === null ? '' : `: ${reason}`}`
      close(this.#store, row, 'rejected', Date.now(), null, { type: 'Rejected', message })
    })
  }

  /** Records an operator's statement of how an execution ended that Temporal no longer knows. */
  settle(id: string, status: ExecutionStatus, { caller, reason }: Attribution): ChangeResult {
    return this.#change(id, 'lost', (row) => {
      log('warn', 'settled', { execution: id, workflow: row.workflow, status, caller, reason })
      const message = `settled as ${status} by ${caller}${reason === null ? '' : `: ${reason}`}`
      close(this.#store, row, status, Date.now(), null, { type: 'Settled', message })
    })
  }

  /** Cancels an execution: one that has not started never will, a running one is asked to stop. */
  cancel(id: string, caller: string, reason: string): ChangeResult {
    const { executions } = this.#store
    const row = executions.get(id)
    if (row === null || !row.admitted || row.phase === 'reserving') return { kind: 'unknown' }
    if (row.phase === 'closed') return { kind: 'refused', execution: toWire(row) }
    const now = Date.now()
    this.ctx.storage.transactionSync(() => {
      if (row.phase === 'waiting') close(this.#store, row, 'canceled', now, null, { type: 'Canceled', message: reason })
      else if (row.phase === 'starting' || row.phase === 'voiding')
        beginVoid(this.#store, row, { status: 'canceled', message: reason }, now)
      else executions.update({ ...row, cancel: reason, nextAt: now })
      this.#alarm.arm()
    })
    log('info', 'cancel', { execution: id, workflow: row.workflow, caller, detail: reason })
    return { kind: 'changed', execution: toWire(this.#row(id)) }
  }

  /**
   * Clears what a `maxFailure` has counted: of a workflow and all its nodes, or of one node.
   *
   * @returns whether it had counted anything
   */
  reset(workflow: string, node: string | null, { caller, reason }: Attribution): boolean {
    const cleared = this.ctx.storage.transactionSync(() =>
      this.#store.failures.reset(scopeName(workflow, node), node === null ? scopeName(workflow, '') : null),
    )
    if (cleared) log('warn', 'reset', { workflow, node, caller, reason })
    return cleared
  }

  /** Adds a freeze: from now on nothing that it covers is admitted or sent. Idempotent. */
  freeze(freeze: Freeze): void {
    log('warn', 'freeze', { freeze: freeze.id, scope: freeze.scope, caller: freeze.caller, reason: freeze.reason })
    this.#store.freezes.put(freeze)
  }

  /** Lifts a freeze; starts that it held back are sent. @returns whether it existed */
  lift(id: string, caller: string): boolean {
    return this.ctx.storage.transactionSync(() => {
      if (!this.#store.freezes.remove(id)) return false
      log('warn', 'thaw', { freeze: id, caller })
      this.#store.schedule.hastenPending(Date.now())
      this.#alarm.arm()
      return true
    })
  }

  /** Active freezes, newest first. */
  freezes(): Freeze[] {
    return this.#store.freezes.active(Date.now())
  }

  /**
   * What a host has to know before it changes anything for executions: the active freezes, and whether these are open. One
   * that had ended, and runs again, is noticed.
   */
  async clearance(ids: readonly string[]): Promise<{ freezes: Freeze[]; executions: Clearance[] }> {
    const executions = await Promise.all(ids.map((id) => this.#reconciler.clearance(id)))
    return { freezes: this.freezes(), executions }
  }

  /** A constraint's usage in this datacenter; of each node that has any, when it counts per node. */
  usages(
    workflow: string,
    constraint: ResolvedConstraint,
    asked: Pick<Trigger, 'datacenter' | 'exclusive' | 'fleets'>,
  ): Judgement[] {
    const now = Date.now()
    return this.#countedNodes(workflow, constraint, now).flatMap((node) =>
      judgeConstraints(this.#store, { ...asked, workflow, node, constraints: [constraint] }, [], now, now),
    )
  }

  /** Remembers an attempt to deliver a signed message, `timestamp` in its own seconds; durable before the answer leaves. */
  remember(webhook: string, id: string, timestamp: number): MessageAnswer {
    return this.ctx.storage.transactionSync(() => {
      const now = Date.now()
      this.#store.messages.forgetExpired(now)
      return this.#store.messages.remember(webhook, id, timestamp, now + MESSAGE_LIFE_MS)
    })
  }

  /** Whether an idempotency key is bound in this ledger. */
  hasKey(workflow: string, caller: string, key: string): boolean {
    return this.#store.keys.bound(workflow, caller, key) !== null
  }

  /**
   * The decisions under which a caller's starts were admitted, each with the id of its execution; null for an idempotency
   * key that is free, or whose first trigger is not decided yet.
   */
  admittedUnder(
    caller: string,
    keys: readonly { workflow: string; key: string }[],
  ): (Pick<Decision, 'id' | 'outcome'> | null)[] {
    return keys.map(({ workflow, key }) => {
      const bound = this.#store.keys.bound(workflow, caller, key)
      if (bound === null || this.#store.executions.get(bound.execution)?.phase === 'reserving') return null
      const decision = this.#store.decisions.get(bound.execution)
      return decision === null ? null : { id: decision.id, outcome: decision.outcome }
    })
  }

  execution(id: string): Execution | null {
    const row = this.#store.executions.get(id)
    return row === null || isHidden(row) ? null : toWire(row)
  }

  /** The statuses of those executions that are in this ledger. */
  statuses(ids: readonly string[]): Record<string, ExecutionStatus> {
    const known = ids.flatMap((id) => {
      const row = this.#store.executions.get(id)
      return row === null || isHidden(row) ? [] : [[id, row.status] as const]
    })
    return Object.fromEntries(known)
  }

  executions(query: ExecutionQuery): LedgerPage<Execution> {
    const { entries, more } = this.#store.executions.list(query)
    return { entries: entries.map(({ key, item }) => ({ key, item: toWire(item) })), more }
  }

  decision(id: string): Decision | null {
    this.#alarm.writeStorms()
    return this.#store.decisions.get(id)
  }

  decisions(query: DecisionQuery): LedgerPage<Decision> {
    this.#alarm.writeStorms()
    return this.#store.decisions.list(query)
  }

  metrics(): LedgerMetrics {
    this.#alarm.writeStorms()
    return this.#store.metrics(Date.now())
  }

  /** A host reported that these ended: reason enough to ask Temporal now. */
  hintClosed(ids: readonly string[]): void {
    this.#outbox.hintClosed(ids)
  }

  /** Hands a workflow's rows to its GlobalLedger: starts since those it knows of this incarnation, and open executions. */
  handIn(workflow: string, known: { incarnation: string; number: number }): HandIn {
    if (!this.#reconciler.isImported) return { kind: 'not_ready', detail: 'it has not imported yet what ran before' }
    const incarnation = this.#store.facts.get('incarnation') ?? ''
    const from = known.incarnation === incarnation ? known.number : 0
    const starts = this.#store.starts.from(workflow, from, Date.now() - MAX_PERIOD_MS, HAND_IN_PAGE)
    const open = this.#store.executions.handOverOpen(workflow)
    return { kind: 'rows', incarnation, starts, open, more: starts.length === HAND_IN_PAGE }
  }

  /** Shows that the ledger can read and write, and sets the alarm again, should it ever have been lost. */
  async probe(): Promise<{ pending: number; open: number; starting: string | null; clock: string | null }> {
    this.#alarm.noticeClock()
    await this.#alarm.revive()
    await this.ctx.storage.sync()
    const problem = await this.#readiness.problem()
    return {
      pending: this.#store.usage.pendingCount(),
      open: this.#store.usage.openCount(),
      starting: problem?.code === 'starting' ? problem.detail : null,
      clock: problem?.code === 'clock_skew' ? problem.detail : null,
    }
  }

  /** The nodes for which a constraint counts something of a workflow; null alone when it counts them together. */
  #countedNodes(workflow: string, { kind, per, period }: ResolvedConstraint, now: number): (string | null)[] {
    const { usage, failures } = this.#store
    switch (kind) {
      case 'exclusive':
        return usage.nodesInUse(workflow, now)
      case 'maxExecution':
      case 'concurrency':
        return per === 'node' ? usage.nodesInUse(workflow, now - (period ?? 0)) : [null]
      case 'maxFailure': {
        const prefix = scopeName(workflow, '')
        const scopes = per === 'node' ? failures.scopesWithin(prefix) : null
        return scopes?.map((scope) => scope.slice(prefix.length)) ?? [null]
      }
      case 'maxUnavailable':
      default:
        return [null]
    }
  }

  /** Changes an execution that is in a certain phase; one that isn't is returned as it is. */
  #change(id: string, phase: ExecutionRow['phase'], change: (row: ExecutionRow) => void): ChangeResult {
    const row = this.#store.executions.get(id)
    if (row === null || isHidden(row)) return { kind: 'unknown' }
    if (row.phase !== phase) return { kind: 'refused', execution: toWire(row) }
    this.ctx.storage.transactionSync(() => {
      change(row)
      this.#alarm.arm()
    })
    return { kind: 'changed', execution: toWire(this.#row(id)) }
  }

  get #datacenter(): string {
    const { name } = this.ctx.id
    if (name === undefined) throw new Error('a ledger is reached by the name of its datacenter')
    return name
  }

  #row(id: string): ExecutionRow {
    const row = this.#store.executions.get(id)
    if (row === null) throw new Error(`execution ${id} is not in this ledger`)
    return row
  }
}
