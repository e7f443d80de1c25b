/** Sends triggers as callers do, and keeps what they were answered. */
import { setTimeout as delay } from 'node:timers/promises'
import { isPromise, type Sent } from './judge.ts'
import type { PlannedTrigger } from './plan.ts'

/** How long a caller waits for an answer, in milliseconds. */
const PATIENCE = 12_000

/** All callers of a drill. */
export class Callers {
  readonly sent: Sent[] = []
  readonly #coordinator: string
  readonly #signal: AbortSignal
  readonly #unanswered = new Map<string, PlannedTrigger>()

  constructor(coordinator: string, signal: AbortSignal) {
    this.#coordinator = coordinator
    this.#signal = signal
  }

  /** Sends these at their times, with their resends and cancels, and returns when all have been answered or given up. */
  async send(triggers: readonly PlannedTrigger[]): Promise<void> {
    await Promise.all(triggers.map((trigger) => this.#sendInTime(trigger)))
  }

  /** Sends again, with the same key, each trigger that got no answer or an inconclusive one. */
  async sendAgain(): Promise<void> {
    const again = [...this.#unanswered.values()]
    this.#unanswered.clear()
    await Promise.all(again.map((trigger) => this.#request(trigger)))
  }

  async #sendInTime(trigger: PlannedTrigger): Promise<void> {
    await this.#wait(trigger.at)
    await Promise.all([this.#sendAndCancel(trigger), this.#resend(trigger)])
  }

  async #sendAndCancel(trigger: PlannedTrigger): Promise<void> {
    const { id, status } = await this.#request(trigger)
    if (trigger.cancelAfter === null || id === null || (status !== 201 && status !== 202)) return
    await this.#wait(trigger.cancelAfter)
    await this.#cancel(id)
  }

  async #resend(trigger: PlannedTrigger): Promise<void> {
    if (trigger.resendAfter === null) return
    await this.#wait(trigger.resendAfter)
    await this.#request(trigger)
  }

  async #request(trigger: PlannedTrigger): Promise<Sent> {
    const { mark, kind, key } = trigger
    const sent: Sent = { mark, kind, key, status: null, code: null, id: null, at: Date.now() }
    this.sent.push(sent)
    try {
      const response = await this.#post(`/v1/workflows/${kind}/executions`, bodyOf(trigger), {
        prefer: `wait=${trigger.wait}`,
        ...(key === null ? {} : { 'idempotency-key': key }),
      })
      const body = (await response.json()) as AnswerBody
      sent.status = response.status
      sent.code = body.code ?? null
      sent.id = body.execution?.id ?? body.decision?.id ?? null
    } catch {
      this.#signal.throwIfAborted()
    }
    if (key !== null && !isPromise(sent) && sent.status !== 429) this.#unanswered.set(key, trigger)
    return sent
  }

  async #cancel(id: string): Promise<void> {
    // Whether it was heard is for the records and for Temporal to say.
    const answered = this.#post(`/v1/executions/${id}/cancel`, { reason: 'the drill changed its mind' })
    await answered.then((response) => response.text()).catch(() => undefined)
  }

  #post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.#coordinator + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(PATIENCE)]),
    })
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#signal })
  }
}

interface AnswerBody {
  code?: string
  execution?: { id: string }
  decision?: { id?: string | null }
}

function bodyOf({ target, input, validFor, mark }: PlannedTrigger): object {
  return {
    target,
    input,
    reason: 'drill',
    trigger: { source: 'drill', name: mark },
    ...(validFor === null ? {} : { valid_for: `${validFor}s` }),
  }
}
