/** HTTP/1.1 by hand, for what a client library would put right. */
import { connect } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Answer } from './http.ts'

/**
 * Sends these bytes on a separate connection and reads one answer. The last header: `Connection: close`.
 *
 * @param tls how to connect when it is an `https:` coordinator
 */
export async function sendRaw(
  coordinator: string,
  bytes: string | Buffer,
  tls: ConnectionOptions = {},
): Promise<Answer<unknown>> {
  return parseAnswer(await exchange(coordinator, bytes, tls))
}

/** Sends these bytes on a separate connection and returns everything that is received until it is closed. */
export async function exchange(url: string, bytes: string | Buffer, tls: ConnectionOptions = {}): Promise<string> {
  const { protocol, hostname, port } = new URL(url)
  const to = { host: hostname, port: Number(port) }
  const received = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    const send = () => void socket.write(bytes)
    const socket = protocol === 'https:' ? connectTls({ ...to, ...tls }, send) : connect(to, send)
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('error', (error: Error) => (chunks.length > 0 ? resolve(Buffer.concat(chunks)) : reject(error)))
    socket.once('close', () => resolve(Buffer.concat(chunks)))
  })
  return received.toString('utf8')
}

/** A request with a target that is sent as it is. */
export function rawRequest(method: string, target: string, body?: string, headers: readonly string[] = []): string {
  const bodyHeaders =
    body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...bodyHeaders, ...headers, 'Connection: close']
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

function parseAnswer(text: string): Answer<unknown> {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...headerLines] = text.slice(0, end).split('\r\n')
  const headers = new Headers()
  for (const line of headerLines)
    headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim())
  const sent = text.slice(end + 4)
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunk(sent) : sent
  const isJson = /json/.test(headers.get('content-type') ?? '') && body !== ''
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(statusLine)?.[1] ?? 0),
    headers,
    text: body,
    body: isJson ? (JSON.parse(body) as unknown) : undefined,
  }
}

/** Enough for answers of ASCII. */
function unchunk(text: string): string {
  let rest = text
  let whole = ''
  for (;;) {
    const [size = '0'] = rest.split('\r\n', 1)
    const length = Number.parseInt(size, 16)
    if (!(length > 0)) return whole
    whole += rest.slice(size.length + 2, size.length + 2 + length)
    rest = rest.slice(size.length + 2 + length + 2)
  }
}
