/** The coordinator as a child process of a supervisor. */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConfigDocument } from '../../shared/config.ts'
import { CoordinatorClient } from '../coordinator-client.ts'
import type { ChildSpec } from '../process/supervisor.ts'
import { type NetworkDoor, prepareCoordinator } from './workerd.ts'

/** Most bytes of a unix socket's path, by sockaddr_un(7) on Linux; other systems take less. */
const SOCKET_PATH_LIMIT = 100

/** Path of the coordinator's socket: in its data directory, or where that is too deep for a socket, in a temporary one. */
export function socketPath(data: string): string {
  return shortPath(data, 'coordinator.sock', '')
}

/** Path of the socket between the front and workerd. */
export function frontSocketPath(data: string): string {
  return shortPath(data, 'coordinator/front.sock', '-front')
}

function shortPath(data: string, name: string, suffix: string): string {
  const path = join(data, name)
  if (Buffer.byteLength(path) <= SOCKET_PATH_LIMIT) return path
  const id = createHash('sha256').update(data).digest('hex').slice(0, 16)
  return join(tmpdir(), `resile-${process.getuid?.() ?? 'user'}-${id}${suffix}.sock`)
}

/** Prepares workerd's files and says how to run it. */
export async function coordinatorChild(options: {
  directory: string
  document: ConfigDocument
  door: NetworkDoor
  hosts: readonly string[] | null
  /** Values of its secrets, by the names that the Worker is bound to them by. */
  secrets: Readonly<Record<string, string>>
  socket: string
  /** What answers 200 when it is ready. */
  readyPath: '/healthz' | '/readyz'
}): Promise<ChildSpec> {
  const { document, door, socket, directory } = options
  const temporal = new URL(document.coordinator.temporal?.http_url ?? '')
  const tls = temporal.protocol === 'https:'
  const { command, args, prepare } = await prepareCoordinator({
    ...options,
    secrets: Object.keys(options.secrets),
    temporal: { address: `${temporal.hostname}:${temporal.port || (tls ? '443' : '80')}`, tls },
  })
  const client = new CoordinatorClient({ socket })
  // Without a front there is one socket alone to make way for.
  const front = 'front' in door ? door.front : socket
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
