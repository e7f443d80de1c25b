/** The coordinator as a child process of a supervisor. */
import { join } from 'node:path'
import type { ConfigDocument } from '../../shared/config.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import type { ChildSpec } from '../process/supervisor.ts'
import { type NetworkListener, prepareCoordinator } from './workerd.ts'

/** Prepares workerd's files and says how to run it. */
export async function coordinatorChild(options: {
  directory: string
  document: ConfigDocument
  listener: NetworkListener
  hosts: readonly string[] | null
  /** Values of its secrets, by the names that the Worker is bound to them by. */
  secrets: Readonly<Record<string, string>>
  socket: string
  /** URL of Temporal's HTTP API. */
  temporalUrl: string
  /** Path of the unix socket that leads there, when workerd can't reach it by itself. */
  temporalSocket?: string | undefined
  /** The endpoint that answers 200 when it is ready. */
  readyPath: '/healthz' | '/readyz'
}): Promise<ChildSpec> {
  const { listener, socket, directory } = options
  const { command, args, prepare } = await prepareCoordinator({
    ...options,
    secrets: Object.keys(options.secrets),
    temporal: temporalService(options.temporalUrl, options.temporalSocket),
  })
  const client = new CoordinatorClient({ socket })
  // Without a front there is one socket alone to make way for.
  const front = 'front' in listener ? listener.front : socket
  return {
    role: 'coordinator',
    name: 'coordinator',
    // workerd doesn't unlink a stale socket, and makes files by the umask: its own are for its user alone, and may
    // not be executed, so that the socket gets mode 0600. Directories were made before.
    command: '/bin/sh',
    args: ['-c', 'rm -f -- "$0" "$1"; shift; umask 0177; exec "$@"', socket, front, command, ...args],
    env: { ...process.env, ...options.secrets },
    restart: true,
    prepare,
    stopGraceMs: 8000,
    // One that lost its disk imports what ran before, which may be much.
    readyTimeoutMs: 120_000,
    logFile: join(directory, '../logs/coordinator.log'),
    ready: async (signal) => {
      const { status } = await client.request('GET', options.readyPath, { timeout: 8000, signal })
      if (status !== 200) throw new Error(`${options.readyPath} answers ${status}`)
    },
  }
}

function temporalService(url: string, socket: string | undefined): { address: string; tls: boolean } {
  if (socket !== undefined) return { address: `unix:${socket}`, tls: false }
  const { protocol, hostname, port } = new URL(url)
  const tls = protocol === 'https:'
  return { address: `${hostname}:${port || (tls ? '443' : '80')}`, tls }
}
