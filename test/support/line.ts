/** The way from a coordinator to Temporal's HTTP API, with the faults that such ways have. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from './http-server.ts'
import { type RelayedRequest, readRequest, relay } from './relay.ts'

interface Held extends RelayedRequest {
  response: ServerResponse
}

/** A proxy that forwards everything until a fault is set. */
export class Line {
  /** Whom it leads to. */
  temporalUrl = ''
  url = ''
  #state: 'open' | 'cut' | 'held' = 'open'
  #held: Held[] = []

  /** From now on it refuses every connection at once. */
  cut(): void {
    this.#state = 'cut'
  }

  /** From now on requests are taken, and kept. */
  hold(): void {
    this.#state = 'held'
  }

  /** How many starts are kept. */
  get heldStarts(): number {
    return this.#held.filter(({ method }) => method === 'POST').length
  }

  /** Forwards again. What was held back arrives first, in order, even if nobody waits for the answer any more. */
  async restore(): Promise<void> {
    const held = this.#held.splice(0)
    for (const request of held) await this.#pass(request)
    this.#state = 'open'
    for (const request of this.#held.splice(0)) await this.#pass(request)
  }

  async take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = { ...(await readRequest(incoming)), response }
    if (this.#state === 'cut') response.destroy()
    else if (this.#state === 'held') this.#held.push(request)
    else await this.#pass(request)
  }

  async #pass({ response, ...request }: Held): Promise<void> {
    const { status, headers, body } = await relay(this.temporalUrl, request)
    response.writeHead(status, headers).end(body)
  }
}

/** Lays one to Temporal. */
export async function layLine(temporalUrl: string): Promise<Line> {
  const line = new Line()
  const port = await listen((incoming, response) => {
    line.take(incoming, response).catch(() => response.destroy())
  })
  line.temporalUrl = temporalUrl
  line.url = `http://127.0.0.1:${port}`
  return line
}
