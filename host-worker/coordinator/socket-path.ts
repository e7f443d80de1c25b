/** Where the sockets of a coordinator are. */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
