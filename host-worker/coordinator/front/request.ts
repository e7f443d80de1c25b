/** A request as it is passed on: read to its end, and in a form that can mean one thing only. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { bodyLimit } from '../../../shared/body-limit.ts'
import { decodedPath } from '../../../shared/path.ts'
import type { BodyAccount } from './body-budget.ts'
import { malformed, Refusal } from './refusal.ts'

/** A request that may be sent as often as it takes. */
export interface WholeRequest {
  method: string
  /** Path and query. */
  path: string
  /** Names and values in turn. */
  headers: string[]
  body: Buffer
}

/** Methods that workerd reads; it refuses others with its own message. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** How long the rest of a larger one may take to come before it is refused; milliseconds. */
const DROP_TIMEOUT_MS = 2000
/** Bytes that a body takes at least, however little has come of it. */
const MIN_BODY_CAPACITY = 1024
/** Headers that apply to one connection only (RFC 9110, section 7.6.1), and those that are written again. */
const NOT_PASSED_ON = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** Headers that must not occur twice: two parsers could choose different ones. */
const AT_MOST_ONCE = new Set([
  'authorization',
  'ce-id',
  'ce-source',
  'ce-specversion',
  'ce-type',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'idempotency-key',
  'origin',
  'traceparent',
  'transfer-encoding',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
  'x-pagerduty-signature',
  'x-request-id',
  'x-slack-request-timestamp',
  'x-slack-signature',
])

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?$/

/** All of a request but its body. */
export type RequestHead = Omit<WholeRequest, 'body'>

/**
 * Reads a request's head.
 *
 * @param removed name of a header, in lower case, that no client may send
 * @throws Refusal
 */
export function readHead(
  { method = '', url = '', rawHeaders }: Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders'>,
  removed: string,
): RequestHead {
  if (!METHODS.has(method)) throw malformed(`method ${method} is not supported`)
  refuseOddPath(url)
  const headers: string[] = []
  const seen = new Set<string>()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    const key = name.toLowerCase()
    if (AT_MOST_ONCE.has(key) && seen.has(key)) throw malformed(`there is more than one header ${key}`)
    seen.add(key)
    if (key === 'transfer-encoding' && value.toLowerCase() !== 'chunked') throw malformed('a body may only be chunked')
    if (key === 'host') refuseOddHost(value)
    // Some servers read _ as -, as CGI does: to them it would be another header.
    if (key.replaceAll('_', '-') !== removed && !NOT_PASSED_ON.has(key)) headers.push(name, value)
  }
  if (seen.has('content-length') && seen.has('transfer-encoding')) {
    throw malformed('Content-Length and Transfer-Encoding are mutually exclusive')
  }
  if (!seen.has('host')) throw malformed('there is no header host')
  return { method, path: url, headers }
}

/**
 * Reads the rest of a request.
 *
 * @param account that what comes is taken from
 * @throws Refusal
 */
export async function readRequest(
  incoming: IncomingMessage,
  head: RequestHead,
  account: BodyAccount,
): Promise<WholeRequest> {
  const { headers } = incoming
  const body = await readBody(incoming, bodyLimit(decodedPath(`http://coordinator${head.path}`)), account)
  const hasBody =
    body.length > 0 || headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
  return { ...head, headers: [...head.headers, ...(hasBody ? ['content-length', String(body.length)] : [])], body }
}

/**
 * A request without its body. What comes of it is dropped for a while: who is still sending may not see an answer that
 * comes before.
 *
 * @throws Error when the caller disconnects meanwhile
 */
export async function dropBody(incoming: IncomingMessage, head: RequestHead): Promise<WholeRequest> {
  const patience = AbortSignal.timeout(DROP_TIMEOUT_MS)
  await once(incoming.resume(), 'close', { signal: patience }).catch(() => undefined)
  if (incoming.destroyed && !incoming.complete) throw new Error('the caller is gone')
  return { ...head, body: Buffer.alloc(0) }
}

/** Only a name or an address: workerd puts it before the path, so that whatever else is in it would become part of that. */
function refuseOddHost(host: string): void {
  if (HOST.test(host) && URL.canParse(`http://${host}/`)) return
  throw malformed('the header host must be a name or an address, with a port or without')
}

/** Only a path as it will be read: no other host's, and none that changes when it is normalised. */
function refuseOddPath(url: string): void {
  if (!url.startsWith('/')) throw malformed('the request target must be a path')
  const [path = ''] = url.split(/[?#]/, 1)
  if (path.startsWith('//')) throw malformed('the path begins with an empty segment')
  if (/[\\\p{Cc}]/u.test(url)) throw malformed('the path has a character that must be percent-encoded')
  const segments = path.split('/').map((segment) => segment.replace(/%2e/gi, '.'))
  if (segments.some((segment) => segment === '.' || segment === '..')) throw malformed('the path has dot segments')
}

/**
 * Reads a body. What is over the limit is read on for a while and dropped: who is still sending may not see an answer that
 * comes before, least of all on a connection that ends with it.
 *
 * @param limit most bytes
 * @throws Refusal 413, or 503 when there is no room
 */
function readBody(incoming: IncomingMessage, limit: number, account: BodyAccount): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One buffer: a list of chunks would take some hundred bytes for each of one byte.
    let room = Buffer.alloc(0)
    let size = 0
    let dropping: NodeJS.Timeout | undefined
    let refusal = new Refusal(413, 'too_large', 'Content Too Large', `the request body is over ${limit / 1024} KiB`)
    const refuse = (): void => reject(refusal)
    const drop = (): void => {
      room = Buffer.alloc(0)
      dropping ??= setTimeout(refuse, DROP_TIMEOUT_MS)
    }
    const evict = (): void => {
      refusal = new Refusal(503, 'overloaded', 'Overloaded', 'too many request bodies are being read at this time')
      drop()
    }
    if (Number(incoming.headers['content-length'] ?? 0) > limit) drop()
    incoming.on('data', (chunk: Buffer) => {
      if (dropping !== undefined) return
      if (size + chunk.length > limit) return drop()
      const capacity = capacityFor(size + chunk.length, room.length, limit)
      if (!account.take(capacity - room.length, evict)) return evict()
      if (capacity > room.length) {
        const larger = Buffer.alloc(capacity)
        room.copy(larger, 0, 0, size)
        room = larger
      }
      size += chunk.copy(room, size)
    })
    incoming.once('end', () => {
      if (dropping !== undefined) return refuse()
      account.complete()
      resolve(room.subarray(0, size))
    })
    incoming.once('error', reject)
    incoming.once('close', () => {
      clearTimeout(dropping)
      reject(new Error('the caller is gone'))
    })
  })
}

/** How large a buffer has to be for a body of which so much has come: it doubles, so that little is copied. */
function capacityFor(size: number, capacity: number, limit: number): number {
  return size <= capacity ? capacity : Math.min(limit, Math.max(MIN_BODY_CAPACITY, size, capacity * 2))
}
