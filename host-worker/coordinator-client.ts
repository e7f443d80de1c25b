/** HTTP to a coordinator, over TCP or its unix socket. */
import { Agent, fetch } from 'undici'

/** Where a coordinator is: a base URL, or the path of its unix socket. */
export type CoordinatorAddress = { url: string } | { socket: string }

/** One answer; `json` is null when the body isn't JSON. */
export interface CoordinatorAnswer {
  status: number
  headers: Headers
  text: string
  json: unknown
}

/** Thrown when no coordinator answers. */
export class CoordinatorUnreachable extends Error {}

/** A client of one coordinator. */
export class CoordinatorClient {
  readonly #base: string
  readonly #agent: Agent
  readonly #name: string

  constructor(address: CoordinatorAddress) {
    this.#base = 'url' in address ? address.url.replace(/\/+$/, '') : 'http://localhost'
    this.#name = 'url' in address ? address.url : address.socket
    this.#agent = new Agent({
      ...('socket' in address ? { connect: { socketPath: address.socket } } : {}),
      keepAliveTimeout: 10_000,
    })
  }

  /**
   * Sends one request.
   *
   * @param timeout milliseconds until the whole answer is there
   * @throws CoordinatorUnreachable when there is no answer, {@link DOMException} `AbortError` when `signal` aborts
   */
  async request(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string>; timeout?: number; signal?: AbortSignal } = {},
  ): Promise<CoordinatorAnswer> {
    const { body, headers = {}, timeout = 40_000, signal } = options
    const timer = AbortSignal.timeout(timeout)
    try {
      const response = await fetch(`${this.#base}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? timer : AbortSignal.any([signal, timer]),
        dispatcher: this.#agent,
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers as unknown as Headers, text, json: parse(text) }
    } catch (error) {
      if (signal?.aborted === true) throw error
      throw new CoordinatorUnreachable(`no answer from the coordinator at ${this.#name}: ${reason(error)}`)
    }
  }

  /** Closes its connections. */
  close(): Promise<void> {
    return this.#agent.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'timed out'
  return error.cause instanceof Error ? error.cause.message : error.message
}
