/** HTTP to a coordinator, over TCP or its unix socket. */
import { Agent, fetch } from 'undici'
import { ClientTls, type ClientTlsFiles, type ClientTlsMaterial } from './client-tls.ts'

/** Where a coordinator is: a base URL, with what it takes to be somebody there, or the path of its unix socket. */
export type CoordinatorAddress = { url: string; tls?: ClientTlsFiles } | { socket: string }

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
  readonly #name: string
  readonly #socket: string | null
  readonly #tls: ClientTls
  #agent: { material: ClientTlsMaterial; agent: Agent } | null = null

  constructor(address: CoordinatorAddress) {
    this.#base = 'url' in address ? address.url.replace(/\/+$/, '') : 'http://localhost'
    this.#name = 'url' in address ? address.url : address.socket
    this.#socket = 'socket' in address ? address.socket : null
    this.#tls = new ClientTls('url' in address ? (address.tls ?? {}) : {})
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
      const dispatcher = await this.#dispatcher()
      const response = await fetch(`${this.#base}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? timer : AbortSignal.any([signal, timer]),
        dispatcher,
        // Nobody but the coordinator that was named is believed.
        redirect: 'manual',
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers as unknown as Headers, text, json: parse(text) }
    } catch (error) {
      if (signal?.aborted === true) throw error
      throw new CoordinatorUnreachable(`no answer from the coordinator at ${this.#name}: ${reason(error)}`)
    }
  }

  /** Closes its connections. */
  async close(): Promise<void> {
    await this.#agent?.agent.destroy()
  }

  /** Connections made with what the files hold now. */
  async #dispatcher(): Promise<Agent> {
    const material = await this.#tls.material()
    if (this.#agent?.material === material) return this.#agent.agent
    // What is under way on the old connections is finished there.
    this.#agent?.agent.close().catch(() => undefined)
    const connect = this.#socket === null ? { ...material } : { socketPath: this.#socket }
    this.#agent = { material, agent: new Agent({ connect, keepAliveTimeout: 10_000 }) }
    return this.#agent.agent
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
