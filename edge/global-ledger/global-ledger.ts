import { DurableObject } from 'cloudflare:workers'
import pTimeout from 'p-timeout'
import { MAX_PERIOD_MS } from '../../shared/config.ts'
import { decide, type Judgement, judge } from '../../shared/constraints.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { GlobalAnswer, GlobalQuestion, HandIn, ReserveAnswer, UsageReport } from '../ledger/types.ts'
import { migrate } from '../migrate.ts'
import { GlobalStore, type HandedIn } from './global-store.ts'
import { GLOBAL_MIGRATIONS } from './schema.ts'

/** How long a reservation counts whose ledger has lost its disk since: by then it can no longer start. */
const ORPHAN_LIFE_MS = 2 * 3_600_000
/** Time between two searches for rows that are too old. */
const FORGET_INTERVAL_MS = 60_000
/** How long a datacenter's ledger may take to hand in a page of rows. */
const HAND_IN_TIMEOUT_MS = 4000

const NO_ANSWER: HandIn = { kind: 'not_ready', detail: 'it does not answer' }

/**
 * Counts one workflow over all datacenters of a coordinator. A datacenter's ledger reserves here before it admits, and
 * reports when an execution has started, ended, or never will start; all of these may come twice, late or in any order.
 *
 * Reached by name, which is the workflow's. Expected outcomes are values; only faults throw.
 */
export class GlobalLedger extends DurableObject<Env> {
  readonly #store: GlobalStore
  /** Datacenters that have handed in their rows since this object woke up: config may have changed before that. */
  readonly #complete = new Set<string>()
  #handingIn: Promise<string | null> | null = null
  #forgotAt = 0
  /** Executions that were reported while rows are being handed over. */
  readonly #reportedMeanwhile = new Set<string>()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, GLOBAL_MIGRATIONS)
    this.#store = new GlobalStore(ctx.storage.sql)
  }

  /** Judges constraints by the present usage; changes nothing. */
  async judge(question: GlobalQuestion): Promise<GlobalAnswer> {
    const missing = await this.#completeFor(question)
    if (missing !== null) return { kind: 'unavailable', detail: missing }
    return { kind: 'judged', judgements: this.#judge(question) }
  }

  /**
   * Reserves a place for an execution under all constraints, or none. To reserve again what is reserved changes nothing.
   *
   * @param attempt one that was reported void can only be reserved again by a later attempt
   */
  async reserve(
    { id, datacenter, attempt }: { id: string; datacenter: string; attempt: number },
    question: GlobalQuestion,
  ): Promise<ReserveAnswer> {
    const missing = await this.#completeFor(question)
    if (missing !== null) return { kind: 'unavailable', detail: missing }
    return this.ctx.storage.transactionSync((): ReserveAnswer => {
      const now = Date.now()
      const present = this.#store.reservation(id)
      if (present?.phase === 'void' && present.attempt >= attempt) return { kind: 'void', detail: 'it was given up' }
      // What it has itself doesn't count against it.
      this.#store.setAside(id)
      const judgements = this.#judge(question)
      const isPresent = present !== null && present.phase !== 'void'
      if (!isPresent && !decide(judgements, question.at).allowed) return { kind: 'denied', judgements }
      if (!isPresent || present.phase === 'reserved') this.#store.reserve(id, datacenter, attempt, now)
      return { kind: 'reserved', judgements }
    })
  }

  /** Takes an execution's newest state. Without a start, one that ended is void, and refuses a reservation that comes late. */
  report(id: string, datacenter: string, report: UsageReport): void {
    if (this.#handingIn !== null) this.#reportedMeanwhile.add(id)
    this.ctx.storage.transactionSync(() => {
      this.#store.report(id, datacenter, report, Date.now())
    })
  }

  #judge({ constraints, at, clock }: GlobalQuestion): Judgement[] {
    const now = Date.now()
    this.#store.forgetOrphans(now - ORPHAN_LIFE_MS)
    if (Math.abs(now - this.#forgotAt) > FORGET_INTERVAL_MS) {
      this.#forgotAt = now
      this.#store.forgetBefore(now - MAX_PERIOD_MS)
    }
    return constraints.map((constraint) =>
      judge(constraint, { scope: 'global', key: 'global' }, this.#store, at, clock),
    )
  }

  /** Sees that every datacenter has handed in its rows. @returns null when they have, else why not */
  async #completeFor({ workflow, datacenters }: GlobalQuestion): Promise<string | null> {
    while (datacenters.some((datacenter) => !this.#complete.has(datacenter))) {
      const missing = datacenters.filter((datacenter) => !this.#complete.has(datacenter))
      this.#handingIn ??= this.#takeIn(workflow, missing).finally(() => {
        this.#handingIn = null
        this.#reportedMeanwhile.clear()
      })
      const problem = await this.#handingIn
      if (problem !== null) return problem
    }
    return null
  }

  /** Takes in the rows of datacenters, all at once, so that their starts can be put in the order of their times. */
  async #takeIn(workflow: string, datacenters: readonly string[]): Promise<string | null> {
    try {
      const handedIn: HandedIn[] = []
      for (const datacenter of datacenters) {
        const rows = await this.#rowsOf(workflow, datacenter)
        if (typeof rows === 'string') return `${datacenter}: ${rows}`
        handedIn.push(rows)
      }
      this.ctx.storage.transactionSync(() => {
        this.#store.takeIn(handedIn, this.#reportedMeanwhile)
      })
      for (const datacenter of datacenters) this.#complete.add(datacenter)
      return null
    } catch (error) {
      log('error', 'hand_in_failed', { workflow, detail: messageOf(error) })
      return messageOf(error)
    }
  }

  async #rowsOf(workflow: string, datacenter: string): Promise<HandedIn | string> {
    let { incarnation, number } = this.#store.cursor(datacenter)
    const starts: HandedIn['starts'] = []
    for (;;) {
      // An RPC promise is a proxy, on which p-timeout's own call of `cancel` would be another RPC.
      const call = Promise.resolve<HandIn>(
        this.env.LEDGER.getByName(datacenter).handIn(workflow, { incarnation, number }),
      )
      const page = await pTimeout(call, { milliseconds: HAND_IN_TIMEOUT_MS, fallback: (): HandIn => NO_ANSWER })
      if (page.kind === 'not_ready') return page.detail
      if (page.incarnation !== incarnation) {
        incarnation = page.incarnation
        starts.length = 0
      }
      starts.push(...page.starts)
      number = page.starts.at(-1)?.number ?? number
      if (!page.more) return { datacenter, incarnation, number, starts, open: page.open }
    }
  }
}
