/**
 * HTTP to one server, over TCP or a unix socket, with mutual TLS. By Node's own client: a worker that waits for work has
 * it loaded all the time, and another would cost it some 6 MB more.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { ClientCredentials, type CredentialFiles, type Credentials } from './client-credentials.ts'

/**
 * Where the server is: a base URL with the client's credentials, or the path of its unix socket. `serverName` is the name
 * that its certificate must be for, if not the URL's host.
 */
export type ServerAddress = { url: string; tls?: CredentialFiles; serverName?: string } | { socket: string }

/** One answer. A redirect is an answer too: no other server than the configured one is trusted. */
export interface HttpAnswer {
  status: number
  headers: Pick<Headers, 'get'>
  text: string
}

/** One request. */
export interface HttpRequest {
  method: string
  /** After the base URL's own path. */
  path: string
  headers?: Record<string, string>
  body?: string
  signal: AbortSignal
  /** Whether it does no harm twice: then it is sent again when a kept connection was closed just as it was used. */
  repeatable: boolean
  /** The largest body of an answer, in bytes; undefined: any. */
  most?: number
}

/** How long an idle connection is kept, in milliseconds: longer than from one heartbeat to the next. */
const IDLE_TIMEOUT_MS = 10_000

/** A client of one server. */
export class HttpClient {
  readonly #base: string
  readonly #socket: string | null
  readonly #credentials: ClientCredentials
  readonly #serverName: string | undefined
  #agent: { credentials: Credentials; agent: Agent } | null = null

  constructor(address: ServerAddress) {
    this.#base = 'url' in address ? address.url.replace(/\/+$/, '') : 'http://localhost'
    this.#socket = 'socket' in address ? address.socket : null
    this.#credentials = new ClientCredentials('url' in address ? (address.tls ?? {}) : {})
    this.#serverName = 'url' in address ? address.serverName : undefined
  }

  /**
   * Sends one request and reads the whole answer.
   *
   * @throws Error when there is no answer, or one that is too large; what aborted when `signal` aborts
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const response = await this.#exchange(new URL(`${this.#base}${request.path}`), request)
    const text = await read(response, request.most ?? Number.POSITIVE_INFINITY)
    return { status: response.statusCode ?? 0, headers: headersOf(response), text }
  }

  /** Closes its connections. */
  close(): void {
    this.#agent?.agent.destroy()
  }

  async #exchange(url: URL, request: HttpRequest): Promise<IncomingMessage> {
    const credentials = await this.#credentials.current()
    const agent = this.#agentFor(credentials)
    const { apiKey } = credentials
    const authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
    const authorized = { ...request, headers: { ...request.headers, ...authorization } }
    try {
      return await exchange(url, agent, this.#socket, authorized)
    } catch (error) {
      if (!(error instanceof StaleConnection) || !request.repeatable) throw error
      return exchange(url, agent, this.#socket, authorized)
    }
  }

  /** Makes new connections with the present files. Requests in progress finish on older ones; idle ones end. */
  #agentFor(credentials: Credentials): Agent {
    if (this.#agent?.credentials === credentials) return this.#agent.agent
    const options = { keepAlive: true, timeout: IDLE_TIMEOUT_MS }
    const { ca, cert, key } = credentials
    const servername = this.#serverName
    const agent = this.#base.startsWith('https:')
      ? new TlsAgent({ ...options, ca, cert, key, ...(servername === undefined ? {} : { servername }) })
      : new Agent(options)
    this.#agent = { credentials, agent }
    return agent
  }
}

/** Why something failed, in words. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses were tried, each with its own error.
  if (error instanceof AggregateError) return error.errors.map(failureOf).join('; ')
  return error.message || ('code' in error ? String(error.code) : error.name)
}

/** A kept connection was closed before it brought an answer. */
class StaleConnection extends Error {}

/** Sends a request and waits for the head of the answer. */
function exchange(
  url: URL,
  agent: Agent,
  socket: string | null,
  { method, headers = {}, body, signal }: HttpRequest,
): Promise<IncomingMessage> {
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
    request.end(body)
  })
}

async function read(response: IncomingMessage, most: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > most) {
      response.destroy()
      throw new Error(`the answer is over ${most} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function headersOf({ headers }: IncomingMessage): HttpAnswer['headers'] {
  return {
    get: (name) => {
      const value = headers[name.toLowerCase()]
      return (Array.isArray(value) ? value.join(', ') : value) ?? null
    },
  }
}
