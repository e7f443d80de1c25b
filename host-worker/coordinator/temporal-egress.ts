/**
 * The way from workerd to Temporal with credentials: workerd reads a client certificate only at its start, and would keep
 * the key in its configuration. It sends its requests to a unix socket instead, and they go on with what the files hold now.
 */
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { CoordinatorConfig } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { ClientCredentials, type CredentialFiles, credentialFilesIn } from '../net/client-credentials.ts'
import { failureOf, HttpClient } from '../net/http-client.ts'
import { CommandError } from '../process/exit-codes.ts'

/** Largest request and answer: Temporal's own limit of a message, in bytes. */
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** Headers of a request and of its answer that matter to the other side. */
const REQUEST_HEADERS = ['accept', 'content-type'] as const
const ANSWER_HEADERS = ['content-type', 'date'] as const

/** How Temporal is reached with credentials. */
export interface TemporalRoute {
  client: HttpClient
  url: string
}

/**
 * The way to Temporal that a `temporal` block describes.
 *
 * @param project where relative paths of files begin
 * @returns null when the block has no credentials: workerd reaches Temporal by itself
 * @throws CommandError that names a file which can't be read
 */
export async function temporalRoute(
  { temporal }: Pick<CoordinatorConfig, 'temporal'>,
  project: string,
): Promise<TemporalRoute | null> {
  const { ca_file, cert_file, key_file, api_key_file, server_name: serverName, http_url: url } = temporal
  const credentials = [ca_file, cert_file, key_file, api_key_file, serverName]
  if (credentials.every((value) => value === undefined)) return null
  const files = credentialFilesIn(project, { ca_file, cert_file, key_file, api_key_file })
  await checkFiles(files)
  const server = serverName === undefined ? {} : { serverName }
  return { client: new HttpClient({ url: new URL(url).origin, tls: files, ...server }), url }
}

/** A listener whose requests are sent to Temporal. */
export class TemporalEgress {
  readonly #server: Server
  #route: TemporalRoute

  private constructor(route: TemporalRoute) {
    this.#route = route
    this.#server = createServer((incoming, response) => {
      const { client, url } = this.#route
      forward(client, incoming, response).catch((error: unknown) => {
        log('warn', 'temporal_unreachable', { url, detail: failureOf(error) })
        response.destroy()
      })
    })
  }

  /** Listens on a unix socket that only this user can open. */
  static async listen(socket: string, route: TemporalRoute): Promise<TemporalEgress> {
    const egress = new TemporalEgress(route)
    // Of a coordinator that was killed.
    await rm(socket, { force: true })
    await listenPrivately(egress.#server, socket)
    return egress
  }

  /** Sends requests another way from now on. */
  use(route: TemporalRoute): void {
    this.#route = route
  }

  /** Ends requests in progress too. The client of its route stays open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }
}

async function listenPrivately(server: Server, socket: string): Promise<void> {
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      // It is made before this returns.
      server.listen(socket, done)
      process.umask(mask)
    })
  } finally {
    process.umask(mask)
  }
}

/** Sends a request on. What fails is left without an answer: only Temporal itself says what it did. */
async function forward(client: HttpClient, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const body = await bodyOf(incoming)
  const answer = await client.send({
    method: incoming.method ?? 'GET',
    path: incoming.url ?? '/',
    headers: Object.fromEntries(
      REQUEST_HEADERS.flatMap((name) => {
        const value = incoming.headers[name]
        return value === undefined ? [] : [[name, value]]
      }),
    ),
    ...(body === '' ? {} : { body }),
    signal: gone.signal,
    // The coordinator's requests all have a request id, by which Temporal knows a repeated one.
    repeatable: true,
    most: MAX_BODY_BYTES,
  })
  // The coordinator measures its clock by Temporal's.
  response.sendDate = false
  for (const name of ANSWER_HEADERS) {
    const value = answer.headers.get(name)
    if (value !== null) response.setHeader(name, value)
  }
  response.writeHead(answer.status).end(answer.text)
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > MAX_BODY_BYTES) throw new Error(`a request to Temporal is over ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function checkFiles(files: CredentialFiles): Promise<void> {
  try {
    await new ClientCredentials(files).current()
  } catch (error) {
    throw new CommandError(`coordinator.hcl, temporal: ${messageOf(error)}`)
  }
}
