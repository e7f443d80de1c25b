/**
 * HTTP to a coordinator, over TCP or its unix socket. By Node's own client: a worker that waits for work has it loaded
 * all the time, and another would cost it some 6 MB more.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { ClientTls, type ClientTlsFiles, type ClientTlsMaterial } from './client-tls.ts'

/** Where a coordinator is: a base URL, with what it takes to be somebody there, or the path of its unix socket. */
export type CoordinatorAddress = { url: string; tls?: ClientTlsFiles } | { socket: string }

/** One answer; `json` is null when the body isn't JSON. */
export interface CoordinatorAnswer {
  status: number
  headers: Pick<Headers, 'get'>
  text: string
  json: unknown
}

/** Thrown when no coordinator answers. */
export class CoordinatorUnreachable extends Error {}

/** How long an idle connection is kept, in milliseconds: longer than from one heartbeat to the next. */
const IDLE_TIMEOUT = 10_000

/** What one request sends. */
interface Sent {
  method: string
  headers: Record<string, string>
  body: string | null
  signal: AbortSignal
}

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
    const sent: Sent = {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal === undefined ? timer : AbortSignal.any([signal, timer]),
    }
    try {
      const response = await this.#send(new URL(`${this.#base}${path}`), sent)
      // Nobody but the coordinator that was named is believed: a redirect is not followed.
      const text = await textOf(response)
      return { status: response.statusCode ?? 0, headers: headersOf(response), text, json: parse(text) }
    } catch (error) {
      if (signal?.aborted === true) throw error
      const why = timer.aborted ? 'timed out' : reason(error)
      throw new CoordinatorUnreachable(`no answer from the coordinator at ${this.#name}: ${why}`)
    }
  }

  /** Closes its connections. */
  close(): void {
    this.#agent?.agent.destroy()
  }

  async #send(url: URL, sent: Sent): Promise<IncomingMessage> {
    const agent = await this.#currentAgent()
    try {
      return await exchange(url, agent, this.#socket, sent)
    } catch (error) {
      // The other side closed a kept connection just when it was used: what does no harm twice is sent again.
      if (!(error instanceof StaleConnection) || sent.method === 'POST') throw error
      return exchange(url, agent, this.#socket, sent)
    }
  }

  /** Connections made with what the files hold now. What is under way on older ones is finished there; idle ones end. */
  async #currentAgent(): Promise<Agent> {
    const material = await this.#tls.material()
    if (this.#agent?.material === material) return this.#agent.agent
    const options = { keepAlive: true, timeout: IDLE_TIMEOUT }
    const agent = this.#base.startsWith('https:') ? new TlsAgent({ ...options, ...material }) : new Agent(options)
    this.#agent = { material, agent }
    return agent
  }
}

/** A kept connection was closed before it brought an answer. */
class StaleConnection extends Error {}

/** Sends a request and waits for the head of the answer. */
function exchange(url: URL, agent: Agent, socket: string | null, sent: Sent): Promise<IncomingMessage> {
  const { method, headers, signal } = sent
  const request: ClientRequest = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method,
    headers,
    signal,
    agent,
    ...(socket === null ? {} : { socketPath: socket }),
  })
  return new Promise((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        request.reusedSocket && error.code === 'ECONNRESET'
          ? new StaleConnection(error.message, { cause: error })
          : error,
      ),
    )
    request.end(sent.body ?? undefined)
  })
}

function headersOf({ headers }: IncomingMessage): CoordinatorAnswer['headers'] {
  return {
    get: (name) => {
      const value = headers[name.toLowerCase()]
      return (Array.isArray(value) ? value.join(', ') : value) ?? null
    },
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
  // Several addresses were tried, each with an error of its own.
  if (error instanceof AggregateError) return error.errors.map(reason).join('; ')
  return error.message || ('code' in error ? String(error.code) : error.name)
}
