/** A node's heartbeats to its coordinator. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { z } from 'zod'
import { type HeartbeatAnswer, heartbeatAnswerSchema, type heartbeatSchema } from '../../shared/heartbeat.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { PermitRefusal } from '../../shared/permit.ts'
import type { Freeze } from '../../shared/wire.ts'
import type { CoordinatorClient } from '../net/coordinator-client.ts'

/** How often a node beats, and how long one beat may take, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 5000
const HEARTBEAT_TIMEOUT_MS = 4000
/** How long a coordinator that did not answer is not asked for a confirmation, in milliseconds. */
const SILENCE_MS = 5000
/** Ended executions reported in one beat; the rest waits for the next. */
const MAX_CLOSED_PER_HEARTBEAT = 500
const MAX_REFUSED_PER_HEARTBEAT = 100

type HeartbeatBody = z.input<typeof heartbeatSchema>
/** What each heartbeat says of the node. */
type HeartbeatFacts = Omit<HeartbeatBody, 'closed' | 'draining' | 'confirm' | 'refused'>
type Refusal = NonNullable<HeartbeatBody['refused']>[number]

/** Beats until stopped. Reports ended executions at once, and again until the coordinator has heard of them. */
export class Heartbeat {
  readonly #client: CoordinatorClient
  readonly #node: string
  readonly #body: HeartbeatFacts
  readonly #stopped = new AbortController()
  readonly #closed = new Set<string>()
  readonly #refused: Refusal[] = []
  #wake = new AbortController()
  #pending: Promise<unknown> = Promise.resolve()
  #freezes: readonly Freeze[] = []
  /** When the coordinator last did not answer, by the monotonic clock. */
  #silentAt = Number.NEGATIVE_INFINITY
  #draining = false
  #sendsVersion = true
  readonly #onResult: (problem: string | null) => void
  #reachable: boolean | null = null

  /** @param onResult called after each heartbeat with the reason why it failed, or null */
  constructor(
    client: CoordinatorClient,
    node: string,
    body: HeartbeatFacts,
    onResult: (problem: string | null) => void,
  ) {
    this.#client = client
    this.#node = node
    this.#body = body
    this.#onResult = onResult
  }

  /** Beats every 5 s until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await this.#sendInTurn()
      await sleep(HEARTBEAT_INTERVAL_MS, undefined, {
        signal: AbortSignal.any([this.#wake.signal, this.#stopped.signal]),
      }).catch(() => undefined)
      this.#wake = new AbortController()
    }
  }

  /** Reports the end of an execution with the next beat, which it brings forward. */
  reportClosed(executionId: string): void {
    this.#closed.add(executionId)
    // The end reaches Temporal a moment after the workflow's code has returned.
    setTimeout(() => this.#wake.abort(), 100).unref()
  }

  /** Reports a permit that was refused with the next beat; only the first ones of many. */
  reportRefused(execution: string, reason: PermitRefusal): void {
    if (this.#refused.length < MAX_REFUSED_PER_HEARTBEAT) this.#refused.push({ execution, reason })
  }

  /** The freezes that the coordinator last told of. */
  get freezes(): readonly Freeze[] {
    return this.#freezes
  }

  /** Asks the coordinator about an execution now; null without an answer, and while it is known not to answer. */
  async confirm(execution: string): Promise<HeartbeatAnswer | null> {
    if (performance.now() - this.#silentAt < SILENCE_MS) return null
    return this.#sendInTurn([execution])
  }

  /** Tells the coordinator to send no more work here. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#sendInTurn()
  }

  /** Ends {@link run}, and the beat that is under way. */
  stop(): void {
    this.#stopped.abort()
  }

  /** One beat at a time: an older one that arrived later would say the opposite of a newer one. */
  #sendInTurn(confirm: string[] = []): Promise<HeartbeatAnswer | null> {
    const sent = this.#pending.then(() => this.#send(confirm))
    this.#pending = sent
    return sent
  }

  async #send(confirm: string[]): Promise<HeartbeatAnswer | null> {
    const { version, ...facts } = this.#body
    const closed = [...this.#closed].slice(0, MAX_CLOSED_PER_HEARTBEAT)
    const refused = [...this.#refused]
    try {
      const { status, text, json } = await this.#client.request('PUT', `/v1/nodes/${this.#node}`, {
        body: {
          ...facts,
          ...(this.#sendsVersion ? { version } : {}),
          draining: this.#draining,
          closed,
          // Coordinators of earlier versions don't know these.
          ...(confirm.length === 0 ? {} : { confirm }),
          ...(refused.length === 0 ? {} : { refused }),
        } satisfies HeartbeatBody,
        timeout: HEARTBEAT_TIMEOUT_MS,
        signal: this.#stopped.signal,
      })
      // Hints are a convenience: one that is refused must not cost the node its life.
      if (isAccepted(status) || status === 400) {
        for (const id of closed) this.#closed.delete(id)
        this.#refused.splice(0, refused.length)
        // A coordinator of an earlier version refuses what it doesn't know.
        if (status === 400) this.#sendsVersion = false
      }
      if (!isAccepted(status)) throw new Error(`HTTP ${status}: ${text.slice(0, 500)}`)
      if (this.#reachable !== true)
        log('info', 'heartbeat', { node: this.#node, detail: 'the coordinator knows this node' })
      this.#reachable = true
      this.#onResult(null)
      const answer = status === 204 ? NOTHING : heartbeatAnswerSchema.parse(json)
      this.#freezes = answer.freezes
      return answer
    } catch (error) {
      if (this.#stopped.signal.aborted) return null
      this.#silentAt = performance.now()
      if (this.#reachable !== false) log('warn', 'heartbeat_failed', { node: this.#node, detail: messageOf(error) })
      this.#reachable = false
      this.#onResult(messageOf(error))
      return null
    }
  }
}

/** What an answer without a body says. */
const NOTHING: HeartbeatAnswer = { freezes: [], executions: [] }

function isAccepted(status: number): boolean {
  return status === 200 || status === 204
}
