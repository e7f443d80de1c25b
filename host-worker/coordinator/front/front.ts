/**
 * The front of a coordinator in a datacenter: terminates TLS, verifies client certificates, and passes requests with what it
 * verified to workerd, which can't give certificates to a Worker itself.
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { log, messageOf } from '../../../shared/log.ts'
import { networkOf } from '../../../shared/network.ts'
import { BodyBudget } from './body-budget.ts'
import type { BodyRule } from './body-rule.ts'
import { CF_HEADER } from './cf-header.ts'
import { type ConnectionFacts, connectionFacts, isSingleUse, rememberPeer, verifiedFingerprint } from './client-auth.ts'
import { Connections } from './connections.ts'
import { Refusal, refuse, unavailable } from './refusal.ts'
import { dropBody, type RequestHead, readHead, readRequest, type WholeRequest } from './request.ts'
import { readServerTls, type ServerTls, type ServerTlsFiles } from './server-tls.ts'
import type { Upstream } from './upstream.ts'

/** Where a front listens: an address, or a socket that it was given. */
export type Listen = { host: string; port: number } | { fd: number }

export interface FrontOptions {
  upstream: Upstream
  /** Null to listen without TLS: then every caller is anonymous. */
  tls: ServerTlsFiles | null
  /** Whose bodies are read; the others' requests are passed on without. */
  bodies: BodyRule
}

/** How long a handshake or the head of a request, and all of a request, may take to come; milliseconds. */
const HEAD_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** How often slow requests are searched for. */
const SLOW_CHECK_INTERVAL_MS = 1000
/** How often the certificates' files are checked for changes. */
const POLL_INTERVAL_MS = 2000
/** On shutdown clients are asked to reconnect elsewhere for this long, before idle connections are closed. */
const LAME_DUCK_MS = 500
/** How long requests in progress may take on shutdown. */
const DRAIN_TIMEOUT_MS = 35_000
const DRAIN_POLL_INTERVAL_MS = 50
/** Characters of a path in the log. */
const MAX_LOGGED_LENGTH = 200
/** Headers of an answer that are for one connection alone. */
const NOT_PASSED_BACK = new Set(['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade'])

/** A running front. */
export class Front {
  #options: FrontOptions
  readonly #server: Server | HttpsServer
  /**
   * By {@link endOf}, which is the same of a TCP connection and of the TLS connection over it. What closes connections in
   * the server leaves those out whose handshake is not over.
   */
  readonly #connections = new Connections<string>()
  readonly #underWay = new Set<ServerResponse>()
  readonly #bodies = new BodyBudget()
  /** Connections on which a request was malformed: where the next one would begin is anybody's guess. */
  readonly #distrusted = new WeakSet<Socket>()
  readonly #ended = new AbortController()
  #tls: ServerTls | null

  private constructor(options: FrontOptions, tls: ServerTls | null) {
    this.#options = options
    this.#tls = tls
    const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
      const key = endOf(incoming.socket)
      this.#underWay.add(response)
      this.#connections.count(key, 1)
      response.once('close', () => {
        this.#underWay.delete(response)
        this.#connections.count(key, -1)
      })
      const head = this.#head(incoming, response)
      if (head === null) return
      this.#answer(incoming, head, response).catch((error: unknown) => {
        log('error', 'front_failed', { detail: messageOf(error) })
        response.destroy()
      })
    }
    const http = {
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: SLOW_CHECK_INTERVAL_MS,
      keepAliveTimeout: 65_000,
    }
    this.#server =
      tls === null
        ? createHttpServer(http, answer)
        : createHttpsServer(
            // Refused only when it is known who knocks: with the reason, and in the access log.
            {
              ...http,
              ...tls.context,
              requestCert: true,
              rejectUnauthorized: false,
              handshakeTimeout: HEAD_TIMEOUT_MS,
              ALPNProtocols: ['http/1.1'],
            },
            answer,
          )
    this.#server.on('connection', (socket: Socket) => this.#accept(socket))
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      if (this.#tls !== null) rememberPeer(socket, this.#tls)
      this.#connections.opened(endOf(socket), verifiedFingerprint(socket))
    })
  }

  #accept(socket: Socket): void {
    const key = endOf(socket)
    socket.once('close', () => this.#connections.closed(key))
    this.#connections.accept(key, socket.remoteAddress ?? '', () => socket.destroy())
    if (this.#tls === null) this.#connections.opened(key, null)
  }

  /**
   * Reads the certificates and begins to listen.
   *
   * @throws BadTlsFile, or what listening throws
   */
  static async start(options: FrontOptions, listen: Listen): Promise<Front> {
    const front = new Front(options, options.tls === null ? null : await readServerTls(options.tls))
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', reject)
      front.#server.listen(listen, () => {
        front.#server.off('error', reject)
        resolve()
      })
    })
    front.#server.on('error', (error) => log('error', 'front_failed', { detail: messageOf(error) }))
    front.#watch().catch((error: unknown) => log('error', 'front_failed', { detail: messageOf(error) }))
    return front
  }

  /** The TCP port that it listens on; null for a socket that is none. */
  get port(): number | null {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : null
  }

  /**
   * Reads other certificates, to be used with another rule for bodies.
   *
   * @param options whether there is TLS can't change
   * @returns takes them from then on
   * @throws BadTlsFile
   */
  async prepare({ tls: files, bodies }: Pick<FrontOptions, 'tls' | 'bodies'>): Promise<() => void> {
    const tls = files === null || this.#tls === null ? null : await readServerTls(files)
    return () => {
      if (tls !== null) this.#use(tls)
      this.#options = { ...this.#options, tls: files, bodies }
    }
  }

  /** Reads the certificates again. New connections use them; what was verified is judged by them from now on. */
  async reload(): Promise<void> {
    const { tls: files } = this.#options
    if (files === null || this.#tls === null) return
    try {
      if (this.#use(await readServerTls(files))) log('info', 'certificates_reloaded', { cert: files.cert })
    } catch (error) {
      // Perhaps it is half written; what is there goes on.
      log('error', 'certificates_not_reloaded', { detail: messageOf(error) })
    }
  }

  /** @returns whether they are other ones */
  #use(tls: ServerTls): boolean {
    if (tls.version === this.#tls?.version) return false
    if (this.#server instanceof HttpsServer) this.#server.setSecureContext(tls.context)
    this.#tls = tls
    return true
  }

  /** Takes no new connections and finishes requests in progress; idle connections don't delay it. */
  async drain(): Promise<void> {
    this.#ended.abort()
    await sleep(LAME_DUCK_MS)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const deadline = performance.now() + DRAIN_TIMEOUT_MS
    while (this.#underWay.size > 0 && performance.now() < deadline) await sleep(DRAIN_POLL_INTERVAL_MS)
    // The last answers may still be on their way. From here on the server no longer looks who takes too long.
    await Promise.race([closed, sleep(LAME_DUCK_MS)])
    this.#connections.endAll()
    await closed
  }

  /** The head of a request that may be passed on; null for one that was refused, or that followed a refused one. */
  #head(incoming: IncomingMessage, response: ServerResponse): RequestHead | null {
    const { socket } = incoming
    if (this.#distrusted.has(socket)) return null
    try {
      return readHead(incoming, CF_HEADER)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#distrusted.add(socket)
      this.#refuse(incoming, response, error, true)
      return null
    }
  }

  async #answer(incoming: IncomingMessage, head: RequestHead, response: ServerResponse): Promise<void> {
    try {
      const request = await this.#read(incoming, head, response)
      const answer = await this.#options.upstream.send(request, () => response.closed)
      // Whoever hangs up lets go of the answer, too.
      response.once('close', () => answer.destroy())
      if (response.closed) answer.destroy()
      this.#sayFarewell(incoming, response)
      response.writeHead(answer.statusCode ?? 502, passedBack(answer))
      answer.once('error', () => response.destroy())
      answer.once('close', () => answer.complete || response.destroy())
      answer.pipe(response)
    } catch (error) {
      // Whoever asked may be gone, and with them the request.
      if (incoming.destroyed && !incoming.complete && !(error instanceof Refusal)) return
      const refusal =
        error instanceof Refusal ? error : unavailable(`the request can't be passed on: ${messageOf(error)}`)
      this.#sayFarewell(incoming, response)
      this.#refuse(incoming, response, refusal, false)
    }
  }

  /** A request to pass on, with what is known of its connection. */
  async #read(incoming: IncomingMessage, head: RequestHead, response: ServerResponse): Promise<WholeRequest> {
    const facts = connectionFacts(incoming, this.#tls)
    if (!this.#options.bodies(head, facts)) {
      // What is left of the body would be taken for the next request.
      if (hasBody(incoming)) response.setHeader('connection', 'close')
      const request = await dropBody(incoming, head)
      return withFacts(request, { ...facts, withoutBody: 'refused' })
    }
    const { socket } = incoming
    const holder = {
      fingerprint: socket instanceof TLSSocket ? verifiedFingerprint(socket) : null,
      network: networkOf(socket.remoteAddress ?? ''),
    }
    try {
      const request = await readRequest(incoming, head, this.#bodies.accountOf(response, holder))
      // Judged again: a body may take its time.
      return withFacts(request, connectionFacts(incoming, this.#tls))
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 413)) throw error
      // Refused by the coordinator: it knows whether signals are lost by that, and operators look there.
      const request = { ...head, body: Buffer.alloc(0) }
      return withFacts(request, { ...connectionFacts(incoming, this.#tls), withoutBody: 'too_large' })
    }
  }

  /** Refuses a request, and puts into the access log what the coordinator never sees. */
  #refuse({ method, url, socket }: IncomingMessage, response: ServerResponse, refusal: Refusal, close: boolean): void {
    const path = url?.split('?', 1)[0]?.slice(0, MAX_LOGGED_LENGTH)
    const { status, message } = refusal
    log('info', 'request_refused', { method, path, status, client_ip: socket.remoteAddress, detail: message })
    refuse(response, refusal, close)
  }

  /** On the way out no connection is kept, not even one whose request came before. */
  #sayFarewell(incoming: IncomingMessage, response: ServerResponse): void {
    if (this.#ended.signal.aborted || isSingleUse(incoming)) response.setHeader('connection', 'close')
  }

  /** Files may change at any time, by a rename or in place, on any file system: so they are polled. */
  async #watch(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      await sleep(POLL_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
      if (!signal.aborted) await this.reload()
    }
  }
}

/** A request with what is known of its connection. */
function withFacts(request: WholeRequest, facts: ConnectionFacts): WholeRequest {
  return { ...request, headers: [...request.headers, CF_HEADER, JSON.stringify(facts)] }
}

/** The other end of a connection. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

function passedBack(answer: IncomingMessage): string[] {
  const { rawHeaders } = answer
  const headers: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!NOT_PASSED_BACK.has(name.toLowerCase())) headers.push(name, rawHeaders[index + 1] ?? '')
  }
  return headers
}
