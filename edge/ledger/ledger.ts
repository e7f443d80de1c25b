import { DurableObject } from 'cloudflare:workers'
import { v7 as uuidv7 } from 'uuid'
import { type Constraint, datacentersOf, LONGEST_PERIOD_MS } from '../../shared/config.ts'
import type { Judgement } from '../../shared/constraints.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { Decision, Execution, ExecutionStatus, Freeze } from '../../shared/wire.ts'
import { config } from '../config.ts'
import type { Env } from '../env.ts'
import { TOLERANCE } from '../integrations/webhook/signature.ts'
import { within } from '../patience.ts'
import { type Signer, signerOf } from '../permits/signer.ts'
import { TemporalClient } from '../temporal/client.ts'
import { ClockWatch } from '../temporal/clock.ts'
import { namespaceId } from '../temporal/outcome.ts'
import { temporalPort } from '../temporal/port.ts'
import { allWorkflows } from '../trigger/workflow.ts'
import {
  type Admission,
  ATTEMPT_LIFE,
  admit,
  type Denial,
  isCentral,
  judgeConstraints,
  judgeTrigger,
  settleReservation,
} from './admission/admit.ts'
import { askGlobal, reserve, settle } from './admission/global.ts'
import { Storms } from './admission/storms.ts'
import { EscalationSender, LONGEST_ESCALATION_WAIT } from './escalation/sender.ts'
import { beginVoid, close, type OutboxContext, step } from './outbox/outbox.ts'
import { Waiters } from './outbox/waiters.ts'
import { type AuditContext, audit, importAll } from './reconcile/audit.ts'
import { forget } from './reconcile/retention.ts'
import { type ExecutionRow, LedgerStore, toWire } from './store/executions.ts'
import type { MessageAnswer } from './store/messages.ts'
import { LEDGER_MIGRATIONS, migrate } from './store/schema.ts'
import { scopeName } from './store/scopes.ts'
import type {
  Approval,
  ApprovalResult,
  ChangeResult,
  DecisionQuery,
  Evaluation,
  ExecutionQuery,
  GlobalAnswer,
  HandIn,
  LedgerMetrics,
  LedgerPage,
  ReserveAnswer,
  Submission,
  SubmissionResult,
  Trigger,
  Undecided,
  Waiting,
} from './types.ts'

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
/** Wait between two audits against Visibility; an execution started past the coordinator is listed within a minute. */
const AUDIT_INTERVAL = 15_000
/** Everything is imported twice, this many milliseconds apart: Visibility may lag behind. Changed by tests alone. */
export const IMPORT = { pause: 1500 }
/** A clock that runs back by more than this was set back, and what is due later than that from now was due by the old one. */
const CLOCK_STEP = 5000
const LONGEST_WAIT = 90_000
/** How long a trigger waits for an import that is under way. */
const IMPORT_WAIT = 5000
/** Wait between two looks for what can be forgotten. */
const FORGET_INTERVAL = 10 * 60_000
/** How long counts of denials in a storm are kept in memory alone. */
const STORM_WRITE_INTERVAL = 1000
/** How long a trigger waits for another one with its `Idempotency-Key` that reserves; longer than one can take. */
const RESERVATION_WAIT = 10_000
/** How often a trigger is judged anew after one with its `Idempotency-Key` that reserved in vain. */
const SUBMIT_TRIES = 5
/** How long Temporal may take to say what time it is. */
const PING_TIMEOUT = 1000
/** How long an attempt to deliver a signed message is remembered: from the earliest to the latest time that it passes. */
const MESSAGE_LIFE = 2 * TOLERANCE + 1000
/** Settlements that are sent in one run of the alarm, and when one is sent again that was not acknowledged. */
const SETTLEMENTS = { size: 64, interval: 3000 }

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
  readonly #namespaceIds = new Map<string, string>()
  readonly #clock = new ClockWatch()
  readonly #storms = new Storms()
  readonly #escalations: EscalationSender
  /** Steps under way, so that the request and the alarm never work on one execution at the same time. */
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #waiters = new Waiters()
  readonly #hints = new Map<string, number>()
  readonly #deniedChecks = new Map<string, number>()
  /** For when the alarm is known to be set; null when unknown, as after a start. */
  #alarmAt: number | null = null
  #alarmRuns = false
  /** The latest time that the clock has shown. */
  #newestTime = Date.now()
  #checkInterval = CHECK_INTERVAL.base
  #ping: Promise<void> | null = null
  #importing: Promise<string | null> | null = null
  #isImported: boolean
  /** From when on Visibility is to be compared with the rows. */
  #auditedUntil: number
  #auditAt = 0
  #forgetAt = Date.now() + FORGET_INTERVAL

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, LEDGER_MIGRATIONS)
    this.#store = new LedgerStore(ctx.storage.sql)
    // The clock may have been set back while nobody ran.
    this.#clampDue(Date.now())
    if (this.#store.facts.get('incarnation') === null) this.#store.facts.set('incarnation', uuidv7())
    this.#isImported = this.#store.facts.get('imported') !== null
    this.#auditedUntil = Number(this.#store.facts.get('audited_until') ?? this.#store.newestAdmission() ?? Date.now())
    this.#context = {
      store: this.#store,
      temporal: (namespace) => this.#temporal(namespace),
      sendProblem: () => this.#sendProblem(),
      sign: async (permit) => {
        const signer = await this.#signer()
        if (signer.problem !== null) throw new Error(signer.problem)
        return signer.sign(permit)
      },
      knownNamespaceId: (namespace) => this.#namespaceIds.get(namespace) ?? null,
      freshNamespaceId: (namespace) => this.#askNamespaceId(namespace),
      abandonReservation: (id) => {
        this.#endReservation(id, { kind: 'unavailable', detail: 'the coordinator stopped while it was asked' })
      },
      now: () => Date.now(),
      checkInterval: () => this.#checkInterval,
    }
    this.#escalations = new EscalationSender({
      store: this.#store.escalations,
      config,
      env,
      now: () => Date.now(),
      settled: () => this.#arm(),
    })
  }

  /** Judges a trigger, records the decision, and when it is admitted forwards it; waits for the start as long as asked. */
  async submit(submission: Submission): Promise<SubmissionResult> {
    for (let tries = 0; tries < SUBMIT_TRIES; tries++) {
      const result = await this.#submit(submission, null)
      if (result !== null) return result
    }
    return undecidedBy('ledger_unavailable', 'the triggers with this key before it could not be decided')
  }

  /** What the answer to a trigger would be at `at` (milliseconds); changes nothing. */
  async evaluate(trigger: Trigger, at: number): Promise<Evaluation> {
    const undecided = await this.#undecided(trigger)
    if (undecided !== null) return undecided
    const global = await askGlobal(this.env, trigger, at)
    const { decision } = judgeTrigger(this.#store, trigger, global, at, Date.now())
    return { kind: 'judged', decision }
  }

  /** The waiting execution's trigger, which approval judges anew; null when there is none that waits. */
  waiting(id: string): Waiting | null {
    const row = this.#store.execution(id)
    return row?.phase === 'waiting' ? this.#store.drafts.get<Waiting>(id) : null
  }

  /** Admits a waiting execution, if its constraints allow it now; else it goes on waiting. */
  async approve(submission: Submission, id: string, approval: Approval): Promise<ApprovalResult> {
    const row = this.#store.execution(id)
    if (row === null) return { kind: 'unknown' }
    if (!this.#isWaiting(id)) return { kind: 'not_awaiting', execution: toWire(row) }
    log('info', 'approval', { execution: id, workflow: row.workflow, caller: approval.caller, reason: approval.reason })
    const result = await this.#submit(submission, { id, approval })
    return result ?? { kind: 'not_awaiting', execution: toWire(this.#row(id)) }
  }

  /** Ends a waiting execution: it never starts. */
  reject(id: string, { caller, reason }: Approval): ChangeResult {
    return this.#change(id, 'waiting', (row) => {
      log('info', 'rejection', { execution: id, workflow: row.workflow, caller, reason })
      const message = `rejected by ${caller}${reason === null ? '' : `: ${reason}`}`
      close(this.#context, row, 'rejected', Date.now(), null, { type: 'Rejected', message })
    })
  }

  /** Takes an operator's word on an execution that Temporal no longer knows. */
  settle(id: string, status: ExecutionStatus, { caller, reason }: Approval): ChangeResult {
    return this.#change(id, 'lost', (row) => {
      log('warn', 'settled', { execution: id, workflow: row.workflow, status, caller, reason })
      const message = `settled as ${status} by ${caller}${reason === null ? '' : `: ${reason}`}`
      close(this.#context, row, status, Date.now(), null, { type: 'Settled', message })
    })
  }

  /** Clears what a `maxFailure` has counted: of a workflow and all its nodes, or of one node. */
  reset(workflow: string, node: string | null, { caller, reason }: Approval): void {
    log('warn', 'reset', { workflow, node, caller, reason })
    this.ctx.storage.transactionSync(() => {
      const scope = scopeName(workflow, node)
      this.#store.failures.reset(scope, node === null ? scopeName(workflow, '') : null)
    })
  }

  /** Takes a freeze: from now on nothing that it covers is admitted or sent. Idempotent. */
  freeze(freeze: Freeze): void {
    log('warn', 'freeze', { freeze: freeze.id, scope: freeze.scope, caller: freeze.caller, reason: freeze.reason })
    this.#store.freezes.put(freeze)
  }

  /** Lifts a freeze; what waited for it goes out. @returns whether there was one */
  thaw(id: string): boolean {
    return this.ctx.storage.transactionSync(() => {
      if (!this.#store.freezes.remove(id)) return false
      log('warn', 'thaw', { freeze: id })
      this.#store.hastenPending(Date.now())
      this.#arm()
      return true
    })
  }

  /** Freezes that hold, newest first. */
  freezes(): Freeze[] {
    return this.#store.freezes.active(Date.now())
  }

  /** A constraint's present use in this datacenter; one of each node with any when it counts nodes for themselves. */
  uses(
    workflow: string,
    constraint: Constraint,
    asked: Pick<Trigger, 'datacenter' | 'datacenters' | 'exclusive' | 'fleets'>,
  ): Judgement[] {
    const now = Date.now()
    return this.#nodesOf(workflow, constraint, now).flatMap((node) =>
      judgeConstraints(this.#store, { ...asked, workflow, node, constraints: [constraint] }, [], now, now),
    )
  }

  /** Remembers an attempt to deliver a signed message, `timestamp` in its own seconds; durable before the answer leaves. */
  remember(webhook: string, id: string, timestamp: number): MessageAnswer {
    return this.ctx.storage.transactionSync(() => {
      const now = Date.now()
      this.#store.messages.forgetExpired(now)
      return this.#store.messages.remember(webhook, id, timestamp, now + MESSAGE_LIFE)
    })
  }

  /** Whether an idempotency key is bound here. */
  hasKey(workflow: string, caller: string, key: string): boolean {
    return this.#store.boundKey(workflow, caller, key) !== null
  }

  execution(id: string): Execution | null {
    const row = this.#store.execution(id)
    return row === null || isHidden(row) ? null : toWire(row)
  }

  /** How executions stand, as far as they are here. */
  statuses(ids: readonly string[]): Record<string, ExecutionStatus> {
    const known = ids.flatMap((id) => {
      const row = this.#store.execution(id)
      return row === null || isHidden(row) ? [] : [[id, row.status] as const]
    })
    return Object.fromEntries(known)
  }

  executions(query: ExecutionQuery): LedgerPage<Execution> {
    const { entries, more } = this.#store.executions(query)
    return { entries: entries.map(({ key, item }) => ({ key, item: toWire(item) })), more }
  }

  decision(id: string): Decision | null {
    this.#writeStorms()
    return this.#store.decisions.get(id)
  }

  decisions(query: DecisionQuery): LedgerPage<Decision> {
    this.#writeStorms()
    return this.#store.decisions.list(query)
  }

  metrics(): LedgerMetrics {
    this.#writeStorms()
    return this.#store.metrics(Date.now())
  }

  /** Cancels an execution: one that has not started never will, a running one is asked to stop. */
  cancel(id: string, reason: string): ChangeResult {
    const row = this.#store.execution(id)
    if (row === null || !row.admitted || row.phase === 'reserving') return { kind: 'unknown' }
    if (row.phase === 'closed') return { kind: 'refused', execution: toWire(row) }
    const now = Date.now()
    this.ctx.storage.transactionSync(() => {
      if (row.phase === 'waiting')
        close(this.#context, row, 'canceled', now, null, { type: 'Canceled', message: reason })
      else if (row.phase === 'starting' || row.phase === 'voiding')
        beginVoid(this.#store, row, { status: 'canceled', message: reason }, now)
      else this.#store.update({ ...row, cancel: reason, nextAt: now })
      this.#arm()
    })
    log('info', 'cancel', { execution: id, workflow: row.workflow, detail: reason })
    return { kind: 'changed', execution: toWire(this.#row(id)) }
  }

  /** A host's report that these ended: reason enough to ask Temporal now. */
  hintClosed(ids: readonly string[]): void {
    const open = ids.filter((id) => this.#store.isOpen(id))
    for (const id of open) this.#hints.set(id, HINT_CHECKS.count)
    this.#store.hasten(open, Date.now())
    this.#arm()
  }

  /** Hands a workflow's rows to its GlobalLedger: starts after those that it knows of this life, and open executions. */
  handIn(workflow: string, known: { incarnation: string; number: number }): HandIn {
    if (!this.#isImported) return { kind: 'not_ready', detail: 'it has not imported yet what ran before' }
    const incarnation = this.#store.facts.get('incarnation') ?? ''
    const from = known.incarnation === incarnation ? known.number : 0
    const limit = 5000
    const starts = this.#store.starts.from(workflow, from, Date.now() - LONGEST_PERIOD_MS, limit)
    return {
      kind: 'rows',
      incarnation,
      starts,
      open: this.#store.handOverOpen(workflow),
      more: starts.length === limit,
    }
  }

  /** Shows that the ledger can read and write, and sets the alarm again, should it ever have been lost. */
  async probe(): Promise<{ pending: number; open: number; starting: string | null; clock: string | null }> {
    this.#noticeClock()
    const due = this.#nextDue()
    const set = await this.ctx.storage.getAlarm()
    // Only an alarm that is missing or late is set: to move one that is set, again and again, would stop it for good.
    if (!this.#alarmRuns && (set === null || set > Math.max(due, Date.now()) + ALARM_OVERDUE)) {
      this.#alarmAt = null
      this.#arm()
    }
    await this.ctx.storage.sync()
    const missing = await this.#importOnce()
    const starting =
      missing === null ? (await this.#signer()).problem : `it is not known yet what ran before: ${missing}`
    return {
      pending: this.#store.pendingCount(),
      open: this.#store.openCount(),
      starting,
      clock: starting === null ? await this.#clockProblem() : null,
    }
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null
    this.#noticeClock()
    this.#alarmRuns = true
    try {
      const { base, perOpen, longest } = CHECK_INTERVAL
      this.#checkInterval = Math.min(base + perOpen * this.#store.openCount(), longest)
      this.#writeStorms()
      // The outbox comes first, and its next run doesn't wait for what Visibility has to say.
      const rest = Promise.all([this.#sendSettlements(), this.#escalations.run(), this.#auditIfDue()])
      await Promise.all([this.#runOutbox(), within<unknown>(ALARM_PASS, rest, () => undefined)])
      this.#forgetIfDue()
    } catch (error) {
      log('error', 'alarm_failed', { detail: messageOf(error) })
    } finally {
      this.#alarmRuns = false
      this.#arm()
    }
  }

  /** One try at an admission; null when what it found is gone by now, and another try is due. */
  async #submit(
    submission: Submission,
    approved: { id: string; approval: Approval } | null,
  ): Promise<SubmissionResult | null> {
    const { trigger, idempotency } = submission
    this.#noticeClock()
    const isBound =
      idempotency !== null && this.#store.boundKey(trigger.workflow, trigger.caller, idempotency.key) !== null
    const undecided = isBound ? null : await this.#undecided(trigger)
    if (undecided !== null) return undecided
    const global = isBound ? null : await askGlobal(this.env, trigger, Date.now())
    // From here to the admission nothing is waited for: what was true of the waiting one still is.
    if (approved !== null && !this.#isWaiting(approved.id)) return null
    return this.#follow(this.#admit(submission, global, approved), submission)
  }

  /** Brings an admission to its answer; null when it has to be made anew. */
  async #follow(admission: Admission, { trigger, wait }: Submission): Promise<SubmissionResult | null> {
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
        const answer = await reserve(this.env, this.#datacenter, admission, trigger)
        const settled = this.#endReservation(admission.id, answer) ?? this.#reservationOf(admission.id)
        if (settled.kind === 'undecided') return settled
        if (settled.kind === 'denied') return this.#denied(settled, trigger)
        this.#begin(admission.id)
        break
      }
      case 'replayed': {
        const isReserving = (): boolean => this.#store.execution(admission.id)?.phase === 'reserving'
        await this.#waiters.wait(admission.id, isReserving, RESERVATION_WAIT)
        if (isReserving())
          return undecidedBy('ledger_unavailable', 'the first trigger with this key is not decided yet')
        if (this.#store.execution(admission.id) === null) return null
      }
    }
    await this.#waiters.wait(admission.id, () => this.#store.isPending(admission.id), wait)
    return {
      kind: admission.kind === 'replayed' ? 'replayed' : 'admitted',
      decision: this.#decisionOf(admission.id),
      execution: toWire(this.#row(admission.id)),
    }
  }

  #denied(denial: Denial, trigger: Trigger): SubmissionResult {
    const { decision, detail } = denial
    if (decision.code === 'ledger_unavailable') return { ...undecidedBy('ledger_unavailable', detail), decision }
    this.#verifyOpen(trigger, decision)
    return denial
  }

  #admit(
    submission: Submission,
    global: GlobalAnswer | null,
    approved: { id: string; approval: Approval } | null,
  ): Admission {
    return this.ctx.storage.transactionSync(() => {
      const now = Date.now()
      const standingFor = (decision: Decision, node: string | null) => this.#storms.standingFor(decision, node, now)
      const admission = admit(this.#store, submission, { global, approved, standingFor }, now)
      this.#arm()
      if (admission.kind !== 'replayed' && admission.kind !== 'conflict' && admission.kind !== 'reserving') {
        this.#logDecision(admission.decision, admission.kind === 'denied' ? admission.detail : null)
      }
      return admission
    })
  }

  /** Ends a reservation by its GlobalLedger's answer, and wakes who waits for that. Null when it had ended before. */
  #endReservation(id: string, answer: ReserveAnswer): (Admission & { kind: 'admitted' | 'denied' }) | null {
    const settled = this.ctx.storage.transactionSync(() => {
      const now = Date.now()
      const standingFor = (decision: Decision, node: string | null) => this.#storms.standingFor(decision, node, now)
      const admission = settleReservation(this.#store, id, answer, { standingFor, newId: () => uuidv7() }, now)
      this.#arm()
      return admission
    })
    if (settled !== null) this.#logDecision(settled.decision, settled.kind === 'denied' ? settled.detail : null)
    this.#waiters.wake(id)
    return settled
  }

  /** How a reservation ended that somebody else has ended. */
  #reservationOf(id: string): { kind: 'admitted' } | Undecided {
    const decision = this.#store.decisions.get(id)
    if (decision?.outcome === 'admitted') return { kind: 'admitted' }
    const late = undecidedBy('ledger_unavailable', 'it took too long to ask what counts over all datacenters')
    return decision?.outcome === 'denied' ? { ...late, decision } : late
  }

  /** Whether an execution waits for approval, and may still be approved. */
  #isWaiting(id: string): boolean {
    const row = this.#store.execution(id)
    return row?.phase === 'waiting' && Date.now() < row.validUntil
  }

  /** Makes the first attempt of what was admitted just now; what is late by now is void. */
  #begin(id: string): void {
    this.ctx.waitUntil(this.#step(id, Date.now() < this.#row(id).validUntil))
  }

  /** The nodes in which a constraint counts something of a workflow; null alone when it counts them together. */
  #nodesOf(workflow: string, { kind, per, period }: Constraint, now: number): (string | null)[] {
    if (kind === 'exclusive') return this.#store.nodesInUse(workflow, now)
    if (per !== 'node') return [null]
    if (kind !== 'maxFailure') return this.#store.nodesInUse(workflow, now - (period ?? 0))
    const beginning = scopeName(workflow, '')
    return this.#store.failures.scopesWithin(beginning).map((scope) => scope.slice(beginning.length))
  }

  #logDecision(decision: Decision, detail: string | null): void {
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

  #signer(): Promise<Signer> {
    return signerOf(this.env.PERMIT_KEYS)
  }

  /** Why nothing can be decided now; null when it can. */
  async #undecided(trigger: Trigger): Promise<Undecided | null> {
    if (trigger.starting !== null) return undecidedBy('starting', trigger.starting)
    const starting = await this.#importOnce()
    if (starting !== null) return undecidedBy('starting', `it is not known yet what ran before: ${starting}`)
    const signer = await this.#signer()
    if (signer.problem !== null) return undecidedBy('starting', signer.problem)
    const problem = await this.#clockProblem()
    return problem === null ? null : undecidedBy('clock_skew', problem)
  }

  /** Why nothing may be admitted; compares the clocks first when the last time is too long ago. */
  async #clockProblem(): Promise<string | null> {
    const now = Date.now()
    const { namespace } = config.coordinator.temporal
    const isDue = !this.#clock.isFresh(now) || this.#clock.problem !== null || !this.#namespaceIds.has(namespace)
    if (isDue && this.#clock.mayAsk(now)) await this.#ask()
    else if (this.#ping !== null) await this.#ping
    return this.#clock.problem
  }

  /** Why nothing may be sent. While Temporal doesn't answer nothing is known of its clock, and a start would wait for it. */
  async #sendProblem(): Promise<{ type: string; message: string } | null> {
    if (!this.#clock.isFresh(Date.now()) || this.#clock.problem !== null) await this.#ask()
    const { problem } = this.#clock
    if (problem !== null) return { type: 'ClockSkew', message: problem }
    const signer = await this.#signer()
    if (signer.problem !== null) return { type: 'NoPermitKey', message: signer.problem }
    return this.#clock.isFresh(Date.now()) ? null : { type: 'NotStartedYet', message: 'Temporal does not answer' }
  }

  /** Asks Temporal for its time, and which namespace it has. */
  #ask(): Promise<void> {
    this.#ping ??= this.#askNamespaceId(config.coordinator.temporal.namespace)
      .then(() => undefined)
      .finally(() => {
        this.#ping = null
      })
    this.#clock.asked(Date.now())
    return this.#ping
  }

  /** Temporal's id of a namespace; the answer also tells its time. */
  async #askNamespaceId(namespace: string): Promise<string | null> {
    const id = namespaceId(await this.#temporal(namespace).namespace(PING_TIMEOUT))
    if (id !== null) this.#namespaceIds.set(namespace, id)
    return id
  }

  /** Imports what ran before, unless that is done. @returns null when it is, else what is missing */
  async #importOnce(): Promise<string | null> {
    if (this.#isImported) return null
    this.#importing ??= this.#import().finally(() => {
      this.#importing = null
    })
    return within(IMPORT_WAIT, this.#importing, () => 'Temporal is still telling')
  }

  async #import(): Promise<string | null> {
    const since = Date.now() - LONGEST_PERIOD_MS
    for (const pause of [0, IMPORT.pause]) {
      await new Promise((resolve) => setTimeout(resolve, pause))
      const result = await importAll(this.#auditContext(), since)
      if (result.kind !== 'done') return result.kind === 'unknown' ? result.detail : 'it found rows that it had lost'
    }
    await this.#importFreezes()
    this.#store.facts.set('imported', '1')
    this.#isImported = true
    log('info', 'import_done', { datacenter: this.#datacenter, open: this.#store.openCount() })
    return null
  }

  /** Takes the freezes of the other datacenters that cover this one: they were made before it was there. */
  async #importFreezes(): Promise<void> {
    const others = datacentersOf(config.coordinator).filter((datacenter) => datacenter !== this.#datacenter)
    for (const other of others) {
      const freezes: Freeze[] = await this.env.LEDGER.getByName(other).freezes()
      for (const freeze of freezes) if (freeze.scope.datacenter === undefined) this.#store.freezes.put(freeze)
    }
  }

  async #auditIfDue(): Promise<void> {
    if (Date.now() < this.#auditAt) return
    this.#auditAt = Date.now() + AUDIT_INTERVAL
    if (!this.#isImported) {
      const problem = await this.#importOnce()
      if (problem !== null) this.#auditAt = Date.now() + IMPORT.pause
      return
    }
    const began = Date.now()
    const result = await audit(this.#auditContext(), this.#auditedUntil)
    if (result.kind === 'done') this.#auditedUntil = began
    else if (result.kind === 'unknown') log('warn', 'audit_failed', { detail: result.detail })
    else {
      log('error', 'rows_lost', {
        execution: result.execution,
        detail: 'Temporal shows a decision that this ledger does not know; nothing is admitted until all is imported',
      })
      this.#store.facts.unset('imported')
      this.#isImported = false
      await this.#importOnce()
    }
  }

  #auditContext(): AuditContext {
    const workflows = allWorkflows(config)
    const { namespace } = config.coordinator.temporal
    return {
      store: this.#store,
      datacenter: this.#datacenter,
      namespace,
      temporal: this.#temporal(namespace),
      now: () => Date.now(),
      workflowOfType: (type) => workflows.find((workflow) => workflow.type === type)?.name ?? null,
      isCentral: (name) => {
        const constraints = workflows.find((workflow) => workflow.name === name)?.constraint ?? []
        return constraints.some((constraint) => isCentral(constraint, datacentersOf(config.coordinator)))
      },
      receiverOf: (name) => workflows.find((workflow) => workflow.name === name)?.escalation?.receiver ?? null,
      transaction: (change) => this.ctx.storage.transactionSync(change),
    }
  }

  async #runOutbox(): Promise<void> {
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
  }

  /** Tells GlobalLedgers what they don't know yet. */
  async #sendSettlements(): Promise<void> {
    const now = Date.now()
    const due = this.#store.settlements.takeDue(now, SETTLEMENTS.size, now + SETTLEMENTS.interval)
    await Promise.all(
      due.map(async (settlement) => {
        try {
          await settle(this.env, this.#datacenter, settlement)
          this.#store.settlements.acknowledge(settlement)
        } catch (error) {
          log('warn', 'settlement_failed', { execution: settlement.execution, detail: messageOf(error) })
        }
      }),
    )
  }

  #forgetIfDue(): void {
    const now = Date.now()
    if (now < this.#forgetAt) return
    const more = this.ctx.storage.transactionSync(() => forget(this.#store, now))
    this.#forgetAt = now + (more ? ALARM_SPACING : FORGET_INTERVAL)
  }

  #writeStorms(): void {
    for (const { id, count, lastAt } of this.#storms.takeUnwritten()) this.#store.decisions.repeat(id, count, lastAt)
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
  #verifyOpen({ workflow, node }: Trigger, decision: Decision): void {
    if (decision.allowed_at !== null || decision.code !== 'constraint_denied') return
    const now = Date.now()
    if (now - (this.#deniedChecks.get(workflow) ?? 0) < DENIAL_CHECK_INTERVAL) return
    this.#deniedChecks.set(workflow, now)
    this.#store.hasten(this.#store.openIds(workflow, node, ALARM_BATCH.parallel), now)
    this.#arm()
  }

  /** After the clock was set back, what was to be done by it later is due: it would stand still for as long. */
  #noticeClock(): void {
    const now = Date.now()
    if (now < this.#newestTime - CLOCK_STEP) {
      log('warn', 'clock_set_back', { by_ms: this.#newestTime - now })
      this.#newestTime = now
      this.#clampDue(now)
      this.#auditAt = Math.min(this.#auditAt, now)
      this.#forgetAt = Math.min(this.#forgetAt, now + FORGET_INTERVAL)
      this.#alarmAt = null
      this.#arm()
    }
    this.#newestTime = Math.max(this.#newestTime, now)
  }

  /** Makes due at `now` what would be due so late only because the clock was set back. */
  #clampDue(now: number): void {
    this.#store.clampDue(now, LONGEST_WAIT)
    this.#store.escalations.clampDue(now, LONGEST_ESCALATION_WAIT)
  }

  /** When the alarm has something to do next. */
  #nextDue(): number {
    const now = Date.now()
    return Math.min(
      this.#store.nextDue() ?? Number.POSITIVE_INFINITY,
      this.#store.settlements.nextDue() ?? Number.POSITIVE_INFINITY,
      this.#escalations.nextDue(),
      this.#storms.hasUnwritten ? now + STORM_WRITE_INTERVAL : Number.POSITIVE_INFINITY,
      this.#forgetAt,
      this.#auditAt,
    )
  }

  /** Sets the alarm for the next due step unless it is set at least as early. Belongs to the turn that made it due. */
  #arm(): void {
    const at = Math.max(this.#nextDue(), Date.now() + ALARM_SPACING)
    const set = this.#alarmAt
    if (set !== null && set <= at && set > Date.now() - ALARM_OVERDUE) return
    this.#alarmAt = at
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at))
  }

  /** Changes an execution that is in a certain phase; one that isn't is shown as it is. */
  #change(id: string, phase: ExecutionRow['phase'], change: (row: ExecutionRow) => void): ChangeResult {
    const row = this.#store.execution(id)
    if (row === null || isHidden(row)) return { kind: 'unknown' }
    if (row.phase !== phase) return { kind: 'refused', execution: toWire(row) }
    this.ctx.storage.transactionSync(() => {
      change(row)
      this.#arm()
    })
    return { kind: 'changed', execution: toWire(this.#row(id)) }
  }

  get #datacenter(): string {
    const { name } = this.ctx.id
    if (name === undefined) throw new Error('a ledger is reached by the name of its datacenter')
    return name
  }

  #row(id: string): ExecutionRow {
    const row = this.#store.execution(id)
    if (row === null) throw new Error(`execution ${id} is not in this ledger`)
    return row
  }

  #decisionOf(id: string): Decision {
    const decision = this.#store.decisions.get(id)
    if (decision === null) throw new Error(`decision ${id} is not in this ledger`)
    return decision
  }

  #temporal(namespace: string): TemporalClient {
    const known = this.#clients.get(namespace)
    if (known !== undefined) return known
    const { port, httpUrl } = temporalPort(this.env)
    const observe = (...answer: Parameters<ClockWatch['observe']>): void => this.#clock.observe(...answer)
    const identity = `resile-coordinator/${this.ctx.id.name ?? 'ledger'}`
    const client = new TemporalClient(port, httpUrl, namespace, identity, observe)
    this.#clients.set(namespace, client)
    return client
  }
}

/** Whether an execution has no id for others: it was not admitted, or not yet. */
function isHidden({ admitted, phase, status }: ExecutionRow): boolean {
  return !admitted || (phase === 'reserving' && status === 'pending')
}

function undecidedBy(code: Undecided['code'], detail: string): Undecided {
  return { kind: 'undecided', code, detail, decision: null }
}
