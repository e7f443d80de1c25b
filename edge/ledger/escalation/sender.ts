/** Sends what humans are told: tried until it is acknowledged, each message for itself. */
import type { Config, ReceiverConfig } from '../../../shared/config.ts'
import { log, messageOf } from '../../../shared/log.ts'
import type { Escalation } from '../../../shared/wire.ts'
import type { Env } from '../../env.ts'
import { toAlertmanager } from '../../integrations/alertmanager/notifier.ts'
import { toPagerDuty } from '../../integrations/pagerduty/notifier.ts'
import { toSlack } from '../../integrations/slack/notifier.ts'
import { toWebhook } from '../../integrations/webhook/notifier.ts'
import {
  DELIVERY_TIMEOUT,
  type Delivery,
  type DeliveryOutcome,
  deliver,
  LONGEST_RETRY_AFTER,
  receiversPort,
} from '../../notify/deliver.ts'
import { keyOf, variableOf } from '../../notify/secret.ts'
import type { DueEscalation, EscalationStore } from '../store/escalations.ts'

/** Attempts that are made at one receiver at the same time: one that hangs keeps nobody else waiting. */
const PARALLEL = 8
/** How soon it is looked again whether a receiver that has its hands full can take more, in milliseconds. */
const FULL_INTERVAL = 1000
/** When an attempt that was cut off is made again, in milliseconds; longer than one takes. */
const ATTEMPT_LIFE = DELIVERY_TIMEOUT + 5000
/** Wait before the second attempt, and the longest one, in milliseconds. */
const BACKOFF = { first: 5000, longest: 600_000 }
/** Attempts after which a message is given up: about a day's. */
const MOST_ATTEMPTS = 150
/** No attempt is due later than this, in milliseconds, unless the clock was set back. */
export const LONGEST_ESCALATION_WAIT = Math.max(LONGEST_RETRY_AFTER, 1.2 * BACKOFF.longest)

/** What sending needs. */
export interface EscalationContext {
  store: EscalationStore
  config: Config
  env: Env
  /** Milliseconds since the epoch. */
  now: () => number
  /** Told after each attempt: something else may be due. */
  settled: () => void
}

/** Sends the escalations of one ledger. */
export class EscalationSender {
  readonly #context: EscalationContext
  /** Attempts under way, by receiver. */
  readonly #underWay = new Map<string, number>()
  /** While a receiver has its hands full, when it is looked again. */
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
      const free = PARALLEL - (this.#underWay.get(receiver) ?? 0)
      const due = store.takeDue(receiver, time, free, time + ATTEMPT_LIFE)
      if (due.length === free) this.#notBefore = time + FULL_INTERVAL
      return due.map((escalation) => this.#attempt(escalation))
    })
    await Promise.all(attempts)
  }

  async #attempt(escalation: DueEscalation): Promise<void> {
    const { receiver } = escalation
    this.#underWay.set(receiver, (this.#underWay.get(receiver) ?? 0) + 1)
    try {
      this.#settle(escalation, await this.#send(escalation))
    } catch (error) {
      log('error', 'escalation_failed', { ...factsOf(escalation), detail: messageOf(error) })
    } finally {
      this.#underWay.set(receiver, (this.#underWay.get(receiver) ?? 1) - 1)
      this.#notBefore = 0
      this.#context.settled()
    }
  }

  /** What came of an attempt; null when there was nothing to be sent. */
  async #send(escalation: DueEscalation): Promise<DeliveryOutcome | 'no receiver' | null> {
    const { config, env, now } = this.#context
    const { receiver } = escalation
    const { receiver: receivers } = config.coordinator
    const block = Object.hasOwn(receivers, receiver) ? receivers[receiver] : undefined
    if (block === undefined) return 'no receiver'
    try {
      const delivery = deliveryOf(env, block, escalation, now())
      return delivery === null ? null : await deliver(receiversPort(env), delivery, now)
    } catch (error) {
      return { kind: 'failed', detail: messageOf(error), retryAfter: null }
    }
  }

  #settle(escalation: DueEscalation, outcome: DeliveryOutcome | 'no receiver' | null): void {
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
      if (escalation.attempts < MOST_ATTEMPTS) {
        store.postpone(escalation, now() + Math.max(backoff(escalation.attempts), retryAfter ?? 0))
        return
      }
      store.giveUp(escalation)
      log('error', 'escalation_given_up', { ...facts, detail })
    }
  }
}

/** What is to be posted; null for nothing: from a webhook and from Slack nothing is taken back. */
function deliveryOf(
  env: Env,
  { webhook, alertmanager, slack, pagerduty }: ReceiverConfig,
  { status, receiver, document, isSent, endedAt }: DueEscalation,
  now: number,
): Delivery | null {
  const message = (): Escalation => JSON.parse(document) as Escalation
  if (alertmanager !== undefined) return toAlertmanager(alertmanager.url, status, message(), endedAt)
  if (pagerduty !== undefined) {
    const key = variableOf(env, pagerduty.routing_key_env)
    if (key === null) throw new Error('its routing key is missing')
    return toPagerDuty(pagerduty.url, key.trim(), status, message(), endedAt)
  }
  if (isSent) return null
  if (slack !== undefined) {
    const url = variableOf(env, slack.url_env)?.trim()
    // Of another scheme, it would stand in what the runtime says about it, and so in the log.
    if (url === undefined || !/^https?:\/\//i.test(url) || !URL.canParse(url))
      throw new Error('its URL is missing, or none')
    return toSlack(url, status, message(), endedAt !== null)
  }
  if (webhook === undefined) return null
  const isSigned = webhook.secret_env !== undefined || webhook.secret_file !== undefined
  const key = isSigned ? keyOf(env, `receiver ${receiver}`, webhook) : null
  if (isSigned && key === null) throw new Error('its secret is missing, or not base64 of at least 16 bytes')
  return toWebhook(webhook.url, key, message().id, document, now)
}

function factsOf({ execution, status, receiver, endedAt, attempts }: DueEscalation): Record<string, unknown> {
  return { execution, status, receiver, attempt: attempts, ...(endedAt === null ? {} : { passed: true }) }
}

function backoff(attempts: number): number {
  const wait = Math.min(BACKOFF.first * 2 ** Math.min(attempts - 1, 10), BACKOFF.longest)
  return wait * (0.8 + 0.4 * Math.random())
}
