/** Where the sockets of a coordinator are. */
import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Length of a unix socket's path, in bytes, by sockaddr_un(7) on Linux; other systems take less. */
const MAX_SOCKET_PATH_LENGTH = 100
const NAMES = { operator: 'coordinator.sock', front: 'front.sock' } as const

/** Path of the coordinator's socket: in its data directory, or where that is too deep for a socket, in a temporary one. */
export function socketPath(data: string): string {
  return join(socketDirectory(data), NAMES.operator)
}

/** Path of the socket between the front and workerd. */
export function frontSocketPath(data: string): string {
  return join(socketDirectory(data), NAMES.front)
}

/**
 * Makes the directory of the sockets, for its user alone: who could put a socket there could pass for the coordinator.
 *
 * @throws Error when it belongs to another user, or others may write to it
 */
export async function makeSocketDirectory(data: string): Promise<void> {
  const directory = socketDirectory(data)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (directory === data) return
  const { uid, mode } = await lstat(directory)
  if (uid === process.getuid?.() && (mode & 0o170777) === 0o40700) return
  throw new Error(`${directory} must be a directory of this user with mode 0700, so that nobody else can write to it`)
}

function socketDirectory(data: string): string {
  const maxLength = Math.max(...Object.values(NAMES).map((name) => Buffer.byteLength(join(data, name))))
  if (maxLength <= MAX_SOCKET_PATH_LENGTH) return data
  const id = createHash('sha256').update(data).digest('hex').slice(0, 16)
  return join(tmpdir(), `resile-${process.getuid?.() ?? 'user'}-${id}`)
}
