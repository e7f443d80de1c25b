/** The coordinator on workerd behind the front: requests wait for it while it is started again. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../../shared/log.ts'
import { unavailable } from './refusal.ts'
import type { WholeRequest } from './request.ts'

/** How long a request waits for workerd to restart. */
const CONNECT_TIMEOUT_MS = 20_000
const RETRY_INTERVAL_MS = 50
/** Longest time without an answer, in milliseconds: an answer may wait 30 s for Temporal. */
const ANSWER_TIMEOUT_MS = 60_000
/** Methods that may be repeated without another effect. */
const REPEATABLE = new Set(['GET', 'HEAD', 'PUT'])

/** Sends requests to workerd's unix socket. */
export class Upstream {
  readonly #socket: string
  readonly #connectTimeoutMs: number
  #paused: Promise<void> | null = null

  constructor(socket: string, connectTimeoutMs = CONNECT_TIMEOUT_MS) {
    this.#socket = socket
    this.#connectTimeoutMs = connectTimeoutMs
  }

  /** Lets requests wait until the returned function is called, as while workerd is replaced. */
  pause(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#paused = promise
    return () => {
      this.#paused = null
      resolve()
    }
  }

  /**
   * Sends a request until an upstream accepts it.
   *
   * @param isGone whether the client has disconnected: what was not sent by then never is
   * @throws Refusal 503 when there is no answer in time, or when what was sent may have taken effect
   */
  async send(request: WholeRequest, isGone: () => boolean): Promise<IncomingMessage> {
    const deadline = performance.now() + this.#connectTimeoutMs
    for (;;) {
      await this.#resumed(deadline)
      if (isGone()) throw unavailable('the caller is gone')
      const outcome = await this.#attempt(request)
      if ('answer' in outcome) return outcome.answer
      if (outcome.sent && !REPEATABLE.has(request.method)) {
        throw unavailable(
          `the coordinator ended before it answered (${outcome.message}); whether it acted is not known`,
        )
      }
      if (performance.now() > deadline) throw unavailable(`the coordinator is not running: ${outcome.message}`)
      await sleep(RETRY_INTERVAL_MS)
    }
  }

  /** @throws Refusal 503 when it is paused for longer than a request waits */
  async #resumed(deadline: number): Promise<void> {
    if (this.#paused === null) return
    const resumed = new AbortController()
    const late = sleep(deadline - performance.now(), true, { signal: resumed.signal }).catch(() => false)
    const isLate = await Promise.race([this.#paused.then(() => false), late])
    resumed.abort()
    if (isLate) throw unavailable('the coordinator is being replaced')
  }

  /** @returns the answer, or whether anything may have been sent when it failed */
  #attempt({ method, path, headers, body }: WholeRequest): Promise<{ answer: IncomingMessage } | Failure> {
    return new Promise((resolve) => {
      let connected = false
      const sent = httpRequest({
        socketPath: this.#socket,
        method,
        path,
        headers,
        // A separate connection for each request: on a reused one it is unknown whether a request was received.
        agent: false,
        timeout: ANSWER_TIMEOUT_MS,
        setDefaultHeaders: false,
      })
      sent.once('socket', (socket) =>
        socket.once('connect', () => {
          connected = true
        }),
      )
      sent.once('timeout', () => sent.destroy(new Error('no answer')))
      sent.once('response', (answer) => resolve({ answer }))
      sent.on('error', (error) => resolve({ sent: connected, message: messageOf(error) }))
      sent.end(body)
    })
  }
}

interface Failure {
  sent: boolean
  message: string
}
