/** A process's endpoint for monitoring: `/metrics`, `/healthz` and `/readyz`, on a local port or unix socket. */
import { chmod, lstat, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type ListenOptions } from 'node:net'
import { log } from '../../shared/log.ts'

/** The content of `/metrics`: Prometheus text. */
export interface Metrics {
  text(): Promise<string>
}

/** The content of `/readyz`, as JSON. */
export interface Readiness {
  report(): { status: 'ready' | 'not_ready' }
}

/** Its owner and its group may connect; connect(2) requires write permission. */
const SOCKET_MODE = 0o660
const SOCKET = /^unix:(.+)$/

/**
 * Serves a process's state.
 *
 * @param listen `HOST:PORT`, or `unix:PATH`
 * @returns what ends it
 * @throws Error when it can't listen there
 */
export async function serveStatus(metrics: Metrics, readiness: Readiness, listen: string): Promise<() => void> {
  const server = createServer((request, response) => {
    answer(request, metrics, readiness).then(
      ({ status, type, body }) =>
        response.writeHead(status, { 'content-type': type }).end(request.method === 'HEAD' ? '' : body),
      () => refuse(response),
    )
  })
  const path = SOCKET.exec(listen)?.[1]
  if (path !== undefined) await removeStale(path)
  await listening(server, path === undefined ? addressOf(listen) : { path })
  if (path !== undefined) await chmod(path, SOCKET_MODE)
  log('info', 'metrics', { url: path === undefined ? `http://${listen}/metrics` : listen })
  return () => {
    server.closeAllConnections()
    server.close()
  }
}

const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const JSON_TYPE = 'application/json'

async function answer(
  request: IncomingMessage,
  metrics: Metrics,
  readiness: Readiness,
): Promise<{ status: number; type: string; body: string }> {
  const json = (status: number, body: unknown) => ({ status, type: JSON_TYPE, body: `${JSON.stringify(body)}\n` })
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { status: 'method_not_allowed' })
  const [path = ''] = (request.url ?? '').split('?', 1)
  switch (path) {
    case '/metrics':
      return { status: 200, type: TEXT, body: await metrics.text() }
    case '/healthz':
      return json(200, { status: 'ok' })
    case '/readyz': {
      const report = readiness.report()
      return json(report.status === 'ready' ? 200 : 503, report)
    }
    default:
      return json(404, { status: 'not_found', paths: ['/metrics', '/healthz', '/readyz'] })
  }
}

function refuse(response: ServerResponse): void {
  response.writeHead(500).end()
}

function addressOf(listen: string): ListenOptions {
  const { hostname, port } = new URL(`http://${listen}`)
  return { port: Number(port || 80), host: hostname.replace(/^\[|\]$/g, '') }
}

function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, resolve)
  })
}

/**
 * Removes the socket that a process left behind which was killed.
 *
 * @throws Error when another one serves there, or it is no socket at all
 */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return
  if (!found.isSocket()) throw new Error(`${path} is not a socket: it is left alone`)
  if (await isServed(path)) throw new Error(`another process serves ${path}`)
  await rm(path, { force: true })
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
