/** A node's heartbeats to its coordinator. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { z } from 'zod'
import { log, messageOf } from '../../shared/log.ts'
import type { heartbeatSchema } from '../../shared/wire.ts'
import type { CoordinatorClient } from '../net/coordinator-client.ts'

/** How often a node beats, and how long one beat may take, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 5000
const HEARTBEAT_TIMEOUT_MS = 4000
/** Ended executions reported in one beat; the rest waits for the next. */
const MAX_CLOSED_PER_HEARTBEAT = 500

type HeartbeatBody = z.input<typeof heartbeatSchema>

/** Beats until stopped. Reports ended executions at once, and again until the coordinator has heard of them. */
export class Heartbeat {
  readonly #client: CoordinatorClient
  readonly #node: string
  readonly #body: Omit<HeartbeatBody, 'closed' | 'draining'>
  readonly #stopped = new AbortController()
  readonly #closed = new Set<string>()
  #wake = new AbortController()
  #pending: Promise<void> = Promise.resolve()
  #draining = false
  readonly #onResult: (problem: string | null) => void
  #reachable: boolean | null = null

  /** @param onResult called after each heartbeat with the reason why it failed, or null */
  constructor(
    client: CoordinatorClient,
    node: string,
    body: Omit<HeartbeatBody, 'closed' | 'draining'>,
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
  #sendInTurn(): Promise<void> {
    this.#pending = this.#pending.then(() => this.#send())
    return this.#pending
  }

  async #send(): Promise<void> {
    const closed = [...this.#closed].slice(0, MAX_CLOSED_PER_HEARTBEAT)
    try {
      const { status, text } = await this.#client.request('PUT', `/v1/nodes/${this.#node}`, {
        body: { ...this.#body, draining: this.#draining, closed } satisfies HeartbeatBody,
        timeout: HEARTBEAT_TIMEOUT_MS,
        signal: this.#stopped.signal,
      })
      // Hints are a convenience: one that is refused must not cost the node its life.
      if (status === 204 || status === 400) for (const id of closed) this.#closed.delete(id)
      if (status !== 204) throw new Error(`HTTP ${status}: ${text.slice(0, 500)}`)
      if (this.#reachable !== true)
        log('info', 'heartbeat', { node: this.#node, detail: 'the coordinator knows this node' })
      this.#reachable = true
      this.#onResult(null)
    } catch (error) {
      if (this.#stopped.signal.aborted) return
      if (this.#reachable !== false) log('warn', 'heartbeat_failed', { node: this.#node, detail: messageOf(error) })
      this.#reachable = false
      this.#onResult(messageOf(error))
    }
  }
}
