/** Sends escalations: each is retried separately until its receiver acknowledges it. */
import { backoff } from '../../../shared/backoff.ts'
import type { Config, ReceiverConfig } from '../../../shared/config.ts'
import { log, messageOf } from '../../../shared/log.ts'
import {
  DELIVERY_TIMEOUT_MS,
  type Delivery,
  type DeliveryOutcome,
  deliver,
  MAX_RETRY_AFTER_MS,
  receiversPort,
} from '../../notify/deliver.ts'
import type { Notifier } from '../../notify/notifier.ts'
import type { DueEscalation, EscalationStore } from '../store/escalations.ts'

/** Attempts at one receiver at the same time: one that hangs does not delay other receivers. */
const MAX_PARALLEL = 8
/** How soon a receiver with as many attempts in progress is checked again. */
const BUSY_INTERVAL_MS = 1000
/** When an attempt that was cut off is made again; longer than one takes. */
const ATTEMPT_TIMEOUT_MS = DELIVERY_TIMEOUT_MS + 5000
/** Wait before the second attempt, and the longest one. */
const BACKOFF_MS = { first: 5000, max: 600_000 }
/** Attempts after which a message is given up: about a day's. */
const MAX_ATTEMPTS = 150
/** No attempt is due later than this, unless the clock was set back. */
export const MAX_ESCALATION_WAIT_MS = Math.max(MAX_RETRY_AFTER_MS, 1.2 * BACKOFF_MS.max)

/** What sending needs. */
export interface EscalationContext {
  store: EscalationStore
  config: Config
  env: Env
  /** Milliseconds since the epoch. */
  now: () => number
  notifiers: readonly Notifier[]
  /** Called after each attempt: something else may be due. */
  afterAttempt: () => void
}

/** Sends the escalations of one ledger. */
export class EscalationSender {
  readonly #context: EscalationContext
  /** Attempts in progress, by receiver. */
  readonly #inProgress = new Map<string, number>()
  /** While a receiver is busy, when it is checked again. */
  #notBefore = 0

  constructor(context: EscalationContext) {
    this.#context = context
  }

  /** When {@link run} has something to do next, in milliseconds since the epoch. */
  nextDue(): number {
    const due = this.#context.store.nextDue()
    return due === null ? Number.POSITIVE_INFINITY : Math.max(due, this.#notBefore)
  }

  /** Makes the attempts that are due. @returns when all of them are over */
  async run(): Promise<void> {
    const { store, now } = this.#context
    const time = now()
    this.#notBefore = 0
    const attempts = store.receiversDue(time).flatMap((receiver) => {
      const free = MAX_PARALLEL - (this.#inProgress.get(receiver) ?? 0)
      const due = store.takeDue(receiver, time, free, time + ATTEMPT_TIMEOUT_MS)
      if (due.length === free) this.#notBefore = time + BUSY_INTERVAL_MS
      return due.map((escalation) => this.#attempt(escalation))
    })
    await Promise.all(attempts)
  }

  async #attempt(escalation: DueEscalation): Promise<void> {
    const { receiver } = escalation
    this.#inProgress.set(receiver, (this.#inProgress.get(receiver) ?? 0) + 1)
    try {
      this.#conclude(escalation, await this.#send(escalation))
    } catch (error) {
      log('error', 'escalation_failed', { ...factsOf(escalation), detail: messageOf(error) })
    } finally {
      this.#inProgress.set(receiver, (this.#inProgress.get(receiver) ?? 1) - 1)
      this.#notBefore = 0
      this.#context.afterAttempt()
    }
  }

  /** The outcome of an attempt; null when there was nothing to send. */
  async #send(escalation: DueEscalation): Promise<DeliveryOutcome | 'no receiver' | null> {
    const { config, env, now } = this.#context
    const { receiver } = escalation
    const { receiver: receivers } = config.coordinator
    const block = Object.hasOwn(receivers, receiver) ? receivers[receiver] : undefined
    if (block === undefined) return 'no receiver'
    try {
      const delivery = deliveryOf(this.#context, block, escalation, now())
      return delivery === null ? null : await deliver(receiversPort(env), delivery, now)
    } catch (error) {
      return { kind: 'failed', detail: messageOf(error), retryAfter: null }
    }
  }

  #conclude(escalation: DueEscalation, outcome: DeliveryOutcome | 'no receiver' | null): void {
    const { store, now } = this.#context
    const facts = factsOf(escalation)
    if (outcome === 'no receiver') {
      store.giveUp(escalation)
      log('error', 'escalation_given_up', { ...facts, detail: 'coordinator.hcl has no such receiver' })
    } else if (outcome === null || outcome.kind === 'acknowledged') {
      store.acknowledge(escalation)
      if (outcome !== null) log('info', 'escalation_sent', facts)
    } else {
      const { detail, retryAfter } = outcome
      log('warn', 'escalation_failed', { ...facts, detail })
      if (escalation.attempts < MAX_ATTEMPTS) {
        store.postpone(escalation, now() + Math.max(backoff(escalation.attempts, BACKOFF_MS), retryAfter ?? 0))
        return
      }
      store.giveUp(escalation)
      log('error', 'escalation_given_up', { ...facts, detail })
    }
  }
}

/** The request that delivers an escalation; null when there is nothing to send. */
function deliveryOf(
  { env, notifiers }: EscalationContext,
  receiver: ReceiverConfig,
  escalation: DueEscalation,
  now: number,
): Delivery | null {
  const notifier = notifiers.find(({ kind }) => receiver[kind] !== undefined)
  if (notifier === undefined) throw new Error('this coordinator has no notifier of its kind')
  return notifier.deliveryOf(env, receiver, escalation, now)
}

function factsOf({ execution, status, receiver, endedAt, attempts }: DueEscalation): Record<string, unknown> {
  return { execution, status, receiver, attempt: attempts, ...(endedAt === null ? {} : { passed: true }) }
}
