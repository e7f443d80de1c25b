/** Receivers that do what a test says. They stand in for `fetch` on all hosts below `receiver.test`. */
import { vi } from 'vitest'
import type { Escalation } from '../../shared/wire.ts'

/** A request as it was received. */
export interface Received {
  url: string
  headers: Headers
  redirect: string | undefined
  text: string
}

/** How a receiver answers: a status, one with a `Retry-After`, nothing ever, or no connection. */
export type ReceiverAnswer = number | { status: number; retryAfter: string } | 'hangs' | 'unreachable'

/** All receivers at once, told apart by the first label of their hosts. */
export class FakeReceivers {
  readonly received: Received[] = []
  /** How each answers; 200 without. */
  readonly answers = new Map<string, ReceiverAnswer>()

  /** Takes their part of the global fetch; the rest stays as it was. */
  install(): void {
    const spy = vi.spyOn(globalThis, 'fetch')
    const others = spy.getMockImplementation()
    spy.mockImplementation(async (input, init) => {
      const { hostname } = new URL(String(input))
      if (hostname.endsWith('.receiver.test')) return this.#receive(hostname, String(input), init)
      if (others === undefined) throw new Error(`nobody answers for ${hostname}`)
      return others(input, init)
    })
  }

  /** What was posted to one of them, as messages. */
  messages(name: string): Escalation[] {
    return this.#of(name).map(({ text }) => JSON.parse(text) as Escalation)
  }

  /** The alerts that were posted to one of them. */
  alerts(name: string): Alert[] {
    return this.#of(name).flatMap(({ text }) => JSON.parse(text) as Alert[])
  }

  #of(name: string): Received[] {
    return this.received.filter(({ url }) => new URL(url).hostname === `${name}.receiver.test`)
  }

  async #receive(hostname: string, url: string, init: RequestInit | undefined): Promise<Response> {
    const { headers, body, redirect } = init ?? {}
    this.received.push({ url, headers: new Headers(headers), redirect, text: typeof body === 'string' ? body : '' })
    const answer = this.answers.get(hostname.split('.')[0] ?? '') ?? 200
    if (answer === 'unreachable') throw new Error('connection refused')
    if (answer === 'hangs') return new Promise(() => undefined)
    if (typeof answer === 'number') return new Response('said', { status: answer })
    return new Response('said', { status: answer.status, headers: { 'retry-after': answer.retryAfter } })
  }
}

/** @see https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml, `postableAlert` */
export interface Alert {
  labels: Record<string, string>
  annotations: Record<string, string>
  startsAt: string
  endsAt: string
}
