/** The coordinator's way to Temporal's HTTP API, on which anything may happen to a request. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type RelayedAnswer, type RelayedRequest, readRequest, relay } from '../support/relay.ts'

/** What a fault does with a request. One that rejects counts as a broken connection. */
export type Tamper = (passage: Passage) => Promise<void>

/** A request on its way. */
export class Passage {
  readonly request: RelayedRequest
  /** What it would start; null if it is no start. */
  readonly startsType: string | null
  /** The end of the start's `valid_for`, in milliseconds since the epoch, if it carries one. */
  readonly beginBy: number | null
  readonly #temporalUrl: string
  readonly #response: ServerResponse

  constructor(request: RelayedRequest, temporalUrl: string, response: ServerResponse) {
    this.request = request
    this.#temporalUrl = temporalUrl
    this.#response = response
    const isStart = request.method === 'POST' && /\/workflows\/[^/?]+$/.test(request.path)
    const startRequest = isStart ? (JSON.parse(Buffer.from(request.body).toString()) as StartRequest) : {}
    this.startsType = startRequest.workflowType?.name ?? null
    this.beginBy = beginByOf(startRequest)
  }

  /** Whether it is a real start, not the placeholder that voids an id. */
  get startsWork(): boolean {
    return this.startsType !== null && this.startsType !== 'resile-void'
  }

  /** Lets Temporal have it, once more if it had it before. */
  async deliver(): Promise<RelayedAnswer> {
    return relay(this.#temporalUrl, this.request)
  }

  /** Lets the sender have the answer, if it still waits for one. */
  answer({ status, headers, body }: RelayedAnswer): void {
    if (!this.#response.destroyed) this.#response.writeHead(status, headers).end(body)
  }

  /** Breaks the sender's connection. */
  reset(): void {
    this.#response.socket?.resetAndDestroy()
  }
}

/** A proxy that passes everything on, unless a fault is put on it. */
export class Line {
  readonly url: string
  /** Deliveries after the end of the start's `valid_for`. */
  lateDeliveries = 0
  readonly #server: Server
  readonly #onTheirWay = new Set<Promise<void>>()
  #tamper: Tamper = pass

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** Lays one to the HTTP API at this URL. */
  static async lay(temporalUrl: string): Promise<Line> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const line = new Line(server)
    server.on('request', (incoming, response) => void line.#take(incoming, response, temporalUrl))
    return line
  }

  /** From now on requests fare like this; without a fault they pass. */
  setFault(tamper: Tamper = pass): void {
    this.#tamper = tamper
  }

  /** Lets Temporal have a request at a later time, whatever became of its sender. */
  deliverLater(passage: Passage, delayMs: number): void {
    const delivery = this.#deliverAfter(passage, delayMs).finally(() => this.#onTheirWay.delete(delivery))
    this.#onTheirWay.add(delivery)
  }

  /** Whether something is kept that Temporal will still get. */
  get isEmpty(): boolean {
    return this.#onTheirWay.size === 0
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #take(incoming: IncomingMessage, response: ServerResponse, temporalUrl: string): Promise<void> {
    // The sender may close the connection at any time.
    response.on('error', () => undefined)
    try {
      const passage = new Passage(await readRequest(incoming), temporalUrl, response)
      await this.#tamper(passage).catch(() => passage.reset())
    } catch {
      response.destroy()
    }
  }

  async #deliverAfter(passage: Passage, delayMs: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, delayMs).unref())
    if (passage.beginBy !== null && Date.now() > passage.beginBy) this.lateDeliveries += 1
    // A Temporal that is down loses it, as it would lose any packet.
    await passage.deliver().catch(() => undefined)
  }
}

/** No fault. */
async function pass(passage: Passage): Promise<void> {
  passage.answer(await passage.deliver())
}

interface StartRequest {
  workflowType?: { name?: string }
  header?: { fields?: Record<string, { data?: string }> }
}

function beginByOf(startRequest: StartRequest): number | null {
  const data = startRequest.header?.fields?.['resile']?.data
  if (data === undefined) return null
  const { begin_by } = JSON.parse(Buffer.from(data, 'base64').toString()) as { begin_by?: string }
  return begin_by === undefined ? null : Date.parse(begin_by)
}
