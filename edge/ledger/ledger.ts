import { DurableObject } from 'cloudflare:workers'
import type { Constraint } from '../../shared/config.ts'
import type { Judgement } from '../../shared/constraints.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { Decision, Execution } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import { TemporalClient } from '../temporal/client.ts'
import { temporalPort } from '../temporal/port.ts'
import { type Admission, ATTEMPT_LIFE, admit, judgeConstraints, judgeTrigger } from './admission.ts'
import { beginVoid, type OutboxContext, step } from './outbox.ts'
import { migrate } from './schema.ts'
import { type ExecutionRow, LedgerStore, toWire } from './store.ts'
import type {
  CancelResult,
  DecisionQuery,
  ExecutionQuery,
  LedgerMetrics,
  LedgerPage,
  Submission,
  SubmissionResult,
  Trigger,
} from './types.ts'
import { Waiters } from './waiters.ts'

/** Executions that one run of the alarm looks at, and how many of them at the same time. */
const ALARM_BATCH = { size: 256, parallel: 16 }
/** After this time, in milliseconds, a run of the alarm begins nothing more, so that what came due meanwhile gets its turn. */
const ALARM_PASS = 4000
/** The alarm runs no more often than this, in milliseconds, so that steps are batched under load. */
const ALARM_SPACING = 200
/** An alarm that did not come this long after its time is taken for lost, and set again. */
const ALARM_OVERDUE = 10_000
/** Wait between two looks at an open execution; grows with their number so that Temporal isn't flooded. */
const CHECK_INTERVAL = { base: 5000, perOpen: 50, longest: 25_000 }
/** A host's report may come before Temporal knows of the end: so often, and so soon, it is asked again. */
const HINT_CHECKS = { count: 5, interval: 1000 }
/** A denial because executions are open has them verified, at most once in this time for one workflow. */
const DENIAL_CHECK_INTERVAL = 2000

/**
 * The ledger of one datacenter: admits or denies each trigger in one transaction over all its constraints, keeps
 * executions and decisions, and brings what it admitted to its end through the outbox.
 *
 * Reached by name, which is the datacenter's. Expected outcomes are values; only faults throw.
 */
export class Ledger extends DurableObject<Env> {
  readonly #store: LedgerStore
  readonly #context: OutboxContext
  readonly #clients = new Map<string, TemporalClient>()
  /** Steps under way, so that the request and the alarm never work on one execution at the same time. */
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #waiters = new Waiters()
  readonly #hints = new Map<string, number>()
  readonly #deniedChecks = new Map<string, number>()
  /** For when the alarm is known to be set; null when unknown, as after a start. */
  #alarmAt: number | null = null
  #alarmRuns = false
  #checkInterval = CHECK_INTERVAL.base

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage)
    this.#store = new LedgerStore(ctx.storage.sql)
    this.#context = {
      store: this.#store,
      temporal: (namespace) => this.#temporal(namespace),
      now: () => Date.now(),
      checkInterval: () => this.#checkInterval,
    }
  }

  /** Judges a trigger, records the decision, and when it is admitted forwards it; waits for the start as long as asked. */
  async submit(submission: Submission): Promise<SubmissionResult> {
    const admission = this.#admit(submission)
    switch (admission.kind) {
      case 'conflict':
        return admission
      case 'denied':
        this.#verifyOpen(submission.trigger.workflow, admission.decision)
        return admission
      case 'admitted':
        this.ctx.waitUntil(this.#step(admission.id, true))
        break
      case 'replayed':
    }
    await this.#waiters.wait(admission.id, () => this.#store.isPending(admission.id), submission.wait)
    return {
      kind: admission.kind,
      decision: admission.kind === 'admitted' ? admission.decision : this.#decisionOf(admission.id),
      execution: toWire(this.#row(admission.id)),
    }
  }

  /** What the answer to a trigger would be at `at` (milliseconds); changes nothing. */
  evaluate(trigger: Trigger, at: number): { decision: Decision; detail: string } {
    return judgeTrigger(this.#store, trigger, at, Date.now())
  }

  /** A constraint's present use in this datacenter; with `per = "node"`, of each node that has any. */
  uses(workflow: string, datacenter: string, constraint: Constraint): Judgement[] {
    const now = Date.now()
    const nodes = constraint.per === 'node' ? this.#store.nodesInUse(workflow, now - (constraint.period ?? 0)) : [null]
    return nodes.flatMap((node) =>
      judgeConstraints(this.#store, { workflow, datacenter, node, constraints: [constraint] }, now, now),
    )
  }

  /** Whether an idempotency key is bound here. */
  hasKey(workflow: string, caller: string, key: string): boolean {
    return this.#store.boundKey(workflow, caller, key) !== null
  }

  execution(id: string): Execution | null {
    const row = this.#store.execution(id)
    return row === null ? null : toWire(row)
  }

  executions(query: ExecutionQuery): LedgerPage<Execution> {
    const { items, more } = this.#store.executions(query)
    return { items: items.map(toWire), more }
  }

  decision(id: string): Decision | null {
    return this.#store.decision(id)
  }

  decisions(query: DecisionQuery): LedgerPage<Decision> {
    return this.#store.decisions(query)
  }

  metrics(): LedgerMetrics {
    return this.#store.metrics(Date.now())
  }

  /** Cancels an execution: one that has not started never will, a running one is asked to stop. */
  cancel(id: string, reason: string): CancelResult {
    const row = this.#store.execution(id)
    if (row === null) return { kind: 'unknown' }
    if (row.phase === 'closed') return { kind: 'already_closed', execution: toWire(row) }
    const now = Date.now()
    this.ctx.storage.transactionSync(() => {
      if (row.phase === 'starting' || row.phase === 'voiding')
        beginVoid(this.#store, row, { status: 'canceled', message: reason }, now)
      else this.#store.update({ ...row, cancel: reason, nextAt: now })
      this.#arm()
    })
    log('info', 'cancel', { execution: id, workflow: row.workflow, detail: reason })
    return { kind: 'canceling', execution: toWire(this.#row(id)) }
  }

  /** A host's report that these ended: reason enough to ask Temporal now. */
  hintClosed(ids: readonly string[]): void {
    const open = ids.filter((id) => this.#store.isOpen(id))
    for (const id of open) this.#hints.set(id, HINT_CHECKS.count)
    this.#store.hasten(open, Date.now())
    this.#arm()
  }

  /** Shows that the ledger can read and write, and sets the alarm again, should it ever have been lost. */
  async probe(): Promise<{ pending: number; open: number }> {
    const due = this.#store.nextDue()
    const set = await this.ctx.storage.getAlarm()
    // Only an alarm that is missing or late is set: to move one that is set, again and again, would stop it for good.
    if (due !== null && !this.#alarmRuns && (set === null || set > Math.max(due, Date.now()) + ALARM_OVERDUE)) {
      this.#alarmAt = null
      this.#arm()
    }
    await this.ctx.storage.sync()
    return { pending: this.#store.pendingCount(), open: this.#store.openCount() }
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null
    this.#alarmRuns = true
    try {
      const { base, perOpen, longest } = CHECK_INTERVAL
      this.#checkInterval = Math.min(base + perOpen * this.#store.openCount(), longest)
      const now = Date.now()
      const due = this.#store.takeDue(now, ALARM_BATCH.size, now + ATTEMPT_LIFE, now + this.#checkInterval)
      const untouched = new Set(due)
      const lanes = Array.from({ length: ALARM_BATCH.parallel }, async (_, lane) => {
        for (let index = lane; index < due.length; index += ALARM_BATCH.parallel) {
          const id = due[index]
          if (id === undefined || Date.now() - now > ALARM_PASS) return
          untouched.delete(id)
          await this.#step(id)
        }
      })
      await Promise.all(lanes)
      this.#store.putBack([...untouched], now)
    } catch (error) {
      log('error', 'alarm_failed', { detail: messageOf(error) })
    } finally {
      this.#alarmRuns = false
      this.#arm()
    }
  }

  #admit(submission: Submission): Admission {
    return this.ctx.storage.transactionSync(() => {
      const admission = admit(this.#store, submission, Date.now())
      if (admission.kind === 'admitted') this.#arm()
      if (admission.kind === 'admitted' || admission.kind === 'denied') this.#logDecision(admission, submission)
      return admission
    })
  }

  #logDecision(admission: Admission & { kind: 'admitted' | 'denied' }, { trigger }: Submission): void {
    const denied = admission.kind === 'denied'
    log('info', 'decision', {
      decision: denied ? admission.decision.id : admission.id,
      workflow: trigger.workflow,
      target: trigger.target,
      outcome: admission.kind,
      code: denied ? admission.decision.code : null,
      caller: trigger.caller,
      source: trigger.trigger,
      reason: trigger.reason,
      ...(denied ? { detail: admission.detail, allowed_at: admission.decision.allowed_at } : {}),
    })
  }

  /** Runs one step after those under way for the same execution. A step that throws is logged and tried again later. */
  #step(id: string, firstAttempt = false): Promise<void> {
    const run = (this.#underWay.get(id) ?? Promise.resolve())
      .then(() => step(this.#context, id, firstAttempt))
      .catch((error: unknown) => this.#postpone(id, error))
      .then(() => this.#afterStep(id))
      .finally(() => {
        if (this.#underWay.get(id) === run) this.#underWay.delete(id)
      })
    this.#underWay.set(id, run)
    return run
  }

  #postpone(id: string, error: unknown): void {
    log('error', 'step_failed', { execution: id, detail: messageOf(error) })
    const row = this.#store.execution(id)
    if (row !== null && row.closedAt === null) this.#store.update({ ...row, nextAt: Date.now() + this.#checkInterval })
  }

  #afterStep(id: string): void {
    if (!this.#store.isPending(id)) this.#waiters.wake(id)
    const hints = this.#hints.get(id)
    if (hints !== undefined) {
      const row = this.#store.execution(id)
      if (row === null || row.phase === 'closed' || hints <= 1) this.#hints.delete(id)
      else this.#hints.set(id, hints - 1)
      if (row?.phase === 'running') this.#store.hasten([id], Date.now() + HINT_CHECKS.interval)
    }
    this.#arm()
  }

  /** Denied because executions are open: perhaps one of them ended without a word, so Temporal is asked now. */
  #verifyOpen(workflow: string, decision: Decision): void {
    if (decision.allowed_at !== null || decision.code !== 'constraint_denied') return
    const now = Date.now()
    if (now - (this.#deniedChecks.get(workflow) ?? 0) < DENIAL_CHECK_INTERVAL) return
    this.#deniedChecks.set(workflow, now)
    this.#store.hasten(this.#store.openIds(workflow, ALARM_BATCH.parallel), now)
    this.#arm()
  }

  /** Sets the alarm for the next due step unless it is set at least as early. Belongs to the turn that made it due. */
  #arm(): void {
    const due = this.#store.nextDue()
    if (due === null) return
    const at = Math.max(due, Date.now() + ALARM_SPACING)
    const set = this.#alarmAt
    if (set !== null && set <= at && set > Date.now() - ALARM_OVERDUE) return
    this.#alarmAt = at
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at))
  }

  #row(id: string): ExecutionRow {
    const row = this.#store.execution(id)
    if (row === null) throw new Error(`execution ${id} is not in this ledger`)
    return row
  }

  #decisionOf(id: string): Decision {
    const decision = this.#store.decision(id)
    if (decision === null) throw new Error(`decision ${id} is not in this ledger`)
    return decision
  }

  #temporal(namespace: string): TemporalClient {
    const known = this.#clients.get(namespace)
    if (known !== undefined) return known
    const { port, httpUrl } = temporalPort(this.env)
    const client = new TemporalClient(port, httpUrl, namespace, `resile-coordinator/${this.ctx.id.name ?? 'ledger'}`)
    this.#clients.set(namespace, client)
    return client
  }
}
