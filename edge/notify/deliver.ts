/** One attempt to deliver a message to a receiver. */
import { messageOf } from '../../shared/log.ts'

/** Whatever sends requests to receivers. */
export interface ReceiverPort {
  fetch(input: string, init?: RequestInit): Promise<Response>
}

/** What is posted to a receiver. */
export interface Delivery {
  url: string
  headers?: Record<string, string>
  /** JSON. */
  body: string
}

/** The outcome of an attempt; `retryAfter` is what the receiver asked for, in milliseconds. */
export type DeliveryOutcome = { kind: 'acknowledged' } | { kind: 'failed'; detail: string; retryAfter: number | null }

/** The coordinator's binding to receivers. */
export function receiversPort({ RECEIVERS }: { RECEIVERS?: ReceiverPort }): ReceiverPort {
  return RECEIVERS ?? { fetch: (input, init) => fetch(input, init) }
}

/** How long an attempt may take. */
export const DELIVERY_TIMEOUT_MS = 10_000
/** The longest `Retry-After` that is honoured. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/** Posts a message. Only 2xx acknowledges it: a redirect isn't followed, since its target is not configured. */
export async function deliver(
  port: ReceiverPort,
  { url, headers, body }: Delivery,
  now: () => number,
): Promise<DeliveryOutcome> {
  try {
    const response = await port.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'resile', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(DELIVERY_TIMEOUT_MS),
    })
    await response.body?.cancel()
    if (response.ok) return { kind: 'acknowledged' }
    const retryAfter = retryAfterOf(response.headers.get('retry-after'), now())
    return { kind: 'failed', detail: `HTTP ${response.status}`, retryAfter }
  } catch (error) {
    return { kind: 'failed', detail: `no answer: ${messageOf(error)}`, retryAfter: null }
  }
}

/** `Retry-After` is a number of seconds or a date. @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 */
function retryAfterOf(header: string | null, now: number): number | null {
  if (header === null) return null
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS)
}
