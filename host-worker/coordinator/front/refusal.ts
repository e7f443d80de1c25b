/** Answers of the front itself: problem documents like the coordinator's (RFC 9457). */
import type { ServerResponse } from 'node:http'

/** A request that is not passed on. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly title: string

  constructor(status: number, code: string, title: string, detail: string) {
    super(detail)
    this.status = status
    this.code = code
    this.title = title
  }
}

/** Refuses a request that is malformed, or that the next reader may understand differently. */
export function malformed(detail: string): Refusal {
  return new Refusal(400, 'bad_request', 'Bad Request', detail)
}

/** Refuses a request that can't be answered now. */
export function unavailable(detail: string): Refusal {
  return new Refusal(503, 'ledger_unavailable', 'Ledger Unavailable', detail)
}

/** Answers with a refusal; `close`: the connection ends with it, and what follows the request is ignored. */
export function refuse(response: ServerResponse, { status, code, title, message }: Refusal, close: boolean): void {
  const body = JSON.stringify({ type: `urn:resile:problem:${code}`, title, status, code, detail: message })
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    ...(status === 503 ? { 'retry-after': '5' } : {}),
    ...(close ? { connection: 'close' } : {}),
  })
  response.end(body)
}
