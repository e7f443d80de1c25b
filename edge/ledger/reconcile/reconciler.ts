/** Keeps the rows of a ledger complete by what Temporal shows: the import into an empty ledger, and audits from then on. */
import pTimeout from 'p-timeout'
import { type Config, datacentersOf, MAX_PERIOD_MS } from '../../../shared/config.ts'
import type { Clearance } from '../../../shared/heartbeat.ts'
import { log } from '../../../shared/log.ts'
import type { Freeze } from '../../../shared/wire.ts'
import { allWorkflows, resolveConstraints } from '../../../shared/workflows.ts'
import type { ReadySigner } from '../../permits/signer.ts'
import type { TemporalClient } from '../../temporal/client.ts'
import type { LedgerStore } from '../store/store.ts'
import { type AuditContext, audit, importAll } from './audit.ts'
import { clearanceOf } from './clearance.ts'

/** Time between two audits against Visibility; an execution started without the coordinator is listed within a minute. */
const AUDIT_INTERVAL_MS = 15_000
/** Everything is imported twice, with this pause: Visibility may lag behind. Changed by tests only. */
export const IMPORT = { pauseMs: 1500 }
/** How long the first trigger after a start waits for an audit: without Temporal, triggers are admitted and wait. */
const FIRST_AUDIT_TIMEOUT_MS = 3000
/** How long a trigger waits for an import in progress. */
const IMPORT_TIMEOUT_MS = 5000

/** What reconciliation needs of its ledger. */
export interface ReconcileContext {
  store: LedgerStore
  config: Config
  env: Env
  datacenter: () => string
  temporal: (namespace: string) => TemporalClient
  /** Reads memos. @throws when there is no key */
  signer: () => Promise<Pick<ReadySigner, 'readMemo'>>
  /** Runs changes in one transaction. */
  transaction: (change: () => void) => void
}

export class Reconciler {
  readonly #context: ReconcileContext
  #importing: Promise<string | null> | null = null
  #auditing: Promise<void> | null = null
  /** The audit that comes before the first decision; null when the ledger was imported since its start. */
  #firstAudit: Promise<void> | null = null
  #isImported: boolean
  /** From when on Visibility is to be compared with the rows. */
  #auditedUntil: number
  #auditAt = 0

  constructor(context: ReconcileContext) {
    this.#context = context
    const { facts, executions } = context.store
    this.#isImported = facts.get('imported') !== null
    this.#auditedUntil = Number(facts.get('audited_until') ?? executions.newestAdmission() ?? Date.now())
  }

  /** Whether the ledger knows everything that ran before. */
  get isImported(): boolean {
    return this.#isImported
  }

  /** When the next audit is due, in milliseconds since the epoch. */
  nextDue(): number {
    return this.#auditAt
  }

  /** After the clock was set back: an audit is due no later than now. */
  clampDue(now: number): void {
    this.#auditAt = Math.min(this.#auditAt, now)
  }

  /**
   * Imports what ran before, unless that is done. The rows may come from an old backup: the first call after a start waits
   * for an audit, which finds out, if Temporal answers in time.
   *
   * @returns null when everything is imported, else what is missing
   */
  async importOnce(): Promise<string | null> {
    if (this.#isImported) {
      this.#firstAudit ??= pTimeout(this.auditIfDue(), {
        milliseconds: FIRST_AUDIT_TIMEOUT_MS,
        fallback: () => undefined,
      })
      await this.#firstAudit
    }
    return this.#isImported ? null : this.#importAll()
  }

  #importAll(): Promise<string | null> {
    this.#importing ??= this.#import().finally(() => {
      this.#importing = null
    })
    return pTimeout(this.#importing, {
      milliseconds: IMPORT_TIMEOUT_MS,
      fallback: () => 'the list of executions from Temporal is not complete yet',
    })
  }

  /** Compares Visibility with the rows when that is due, or waits for a comparison in progress. */
  async auditIfDue(): Promise<void> {
    if (this.#auditing === null && Date.now() < this.#auditAt) return
    this.#auditing ??= this.#audit().finally(() => {
      this.#auditing = null
    })
    await this.#auditing
  }

  /** Whether hosts may change anything for an execution. */
  clearance(id: string): Promise<Clearance> {
    return clearanceOf(this.#auditContext(), id)
  }

  async #audit(): Promise<void> {
    this.#auditAt = Date.now() + AUDIT_INTERVAL_MS
    if (!this.#isImported) {
      const problem = await this.#importAll()
      if (problem !== null) this.#auditAt = Date.now() + IMPORT.pauseMs
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
      this.#context.store.facts.unset('imported')
      this.#isImported = false
      await this.#importAll()
    }
  }

  async #import(): Promise<string | null> {
    const { store, datacenter } = this.#context
    const since = Date.now() - MAX_PERIOD_MS
    for (const pause of [0, IMPORT.pauseMs]) {
      await new Promise((resolve) => setTimeout(resolve, pause))
      const result = await importAll(this.#auditContext(), since)
      if (result.kind !== 'done') return result.kind === 'unknown' ? result.detail : 'rows were lost'
    }
    await this.#importFreezes()
    store.facts.set('imported', '1')
    this.#isImported = true
    this.#firstAudit = Promise.resolve()
    log('info', 'import_done', { datacenter: datacenter(), open: store.usage.openCount() })
    return null
  }

  /** Takes over the freezes of other datacenters that cover this one: they were made before its ledger existed. */
  async #importFreezes(): Promise<void> {
    const { store, config, env, datacenter } = this.#context
    const others = datacentersOf(config.coordinator).filter((other) => other !== datacenter())
    for (const other of others) {
      const freezes: Freeze[] = await env.LEDGER.getByName(other).freezes()
      for (const freeze of freezes) if (freeze.scope.datacenter === undefined) store.freezes.put(freeze)
    }
  }

  #auditContext(): AuditContext {
    const { store, config, datacenter, temporal, transaction, signer } = this.#context
    const all = datacentersOf(config.coordinator)
    const workflows = allWorkflows(config)
    const { namespace } = config.coordinator.temporal
    return {
      store,
      datacenter: datacenter(),
      namespace,
      temporal: temporal(namespace),
      now: () => Date.now(),
      workflowOfType: (type) => workflows.find((workflow) => workflow.type === type)?.name ?? null,
      isCentral: (name) => {
        const workflow = workflows.find((one) => one.name === name)
        return workflow !== undefined && resolveConstraints(config, workflow).some(({ isCentral }) => isCentral)
      },
      receiverOf: (name) => workflows.find((workflow) => workflow.name === name)?.escalation?.receiver ?? null,
      isFirst: all[0] === datacenter(),
      otherDatacenters: all.filter((other) => other !== datacenter()),
      readMemo: async (proof) => (await signer()).readMemo(proof),
      transaction,
    }
  }
}
