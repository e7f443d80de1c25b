/** HTTP to a coordinator: JSON in and out. */
import { failureOf, type HttpAnswer, HttpClient, type ServerAddress } from './http-client.ts'

/** Where a coordinator is: a base URL with the client's credentials, or the path of its unix socket. */
export type CoordinatorAddress = ServerAddress

/** One answer; `json` is null when the body isn't JSON. */
export interface CoordinatorAnswer extends HttpAnswer {
  json: unknown
}

/** Thrown when no coordinator answers. */
export class CoordinatorUnreachable extends Error {}

/** A client of one coordinator. */
export class CoordinatorClient {
  readonly #http: HttpClient
  readonly #name: string

  constructor(address: CoordinatorAddress) {
    this.#http = new HttpClient(address)
    this.#name = 'url' in address ? address.url : address.socket
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
      const answer = await this.#http.send({
        method,
        path,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? timer : AbortSignal.any([signal, timer]),
        repeatable: method !== 'POST',
      })
      return { ...answer, json: parse(answer.text) }
    } catch (error) {
      if (signal?.aborted === true) throw error
      const why = timer.aborted ? 'timed out' : failureOf(error)
      throw new CoordinatorUnreachable(`no answer from the coordinator at ${this.#name}: ${why}`)
    }
  }

  /** Closes its connections. */
  close(): void {
    this.#http.close()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
