/** HTTP requests that are read whole, so that they can be kept, sent late, or sent again. */
import type { IncomingMessage } from 'node:http'

/** A request on its way to Temporal. */
export interface RelayedRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Uint8Array<ArrayBuffer>
}

/** What Temporal answered to it. */
export interface RelayedAnswer {
  status: number
  headers: Record<string, string>
  body: Buffer
}

/** Reads a request to its end. */
export async function readRequest(incoming: IncomingMessage): Promise<RelayedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const headers: Record<string, string> = {}
  for (const name of ['content-type', 'accept', 'grpc-timeout']) {
    const value = incoming.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  const body = new Uint8Array(Buffer.concat(chunks))
  return { method: incoming.method ?? 'GET', path: incoming.url ?? '/', headers, body }
}

/** Sends a request to the server at `url`, and reads the answer to its end. */
export async function relay(url: string, { method, path, headers, body }: RelayedRequest): Promise<RelayedAnswer> {
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const answer = await fetch(url + path, { method, headers, ...(hasBody ? { body } : {}) })
  const date = answer.headers.get('date')
  return {
    status: answer.status,
    headers: {
      'content-type': answer.headers.get('content-type') ?? 'application/json',
      ...(date === null ? {} : { date }),
    },
    body: Buffer.from(await answer.arrayBuffer()),
  }
}
