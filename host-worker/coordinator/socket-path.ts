/** Where the sockets of a coordinator are. */
import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { checkOwnDirectory, checkPrivateDirectory, Untrusted } from '../process/file-trust.ts'

/** Length of a unix socket's path, in bytes, by sockaddr_un(7) on Linux; other systems take less. */
const MAX_SOCKET_PATH_LENGTH = 100
const NAMES = { operator: 'coordinator.sock', front: 'front.sock', temporal: 'temporal.sock' } as const

/** Path of the coordinator's socket: in its data directory, or where that is too deep for a socket, in a temporary one. */
export function socketPath(data: string): string {
  return join(socketDirectory(data), NAMES.operator)
}

/** Path of the socket between the front and workerd. */
export function frontSocketPath(data: string): string {
  return join(socketDirectory(data), NAMES.front)
}

/** Path of the socket between workerd and what adds the credentials for Temporal. */
export function temporalSocketPath(data: string): string {
  return join(socketDirectory(data), NAMES.temporal)
}

/**
 * Makes the directory of the sockets, in which only this user can put any: who else could would pass for the coordinator.
 *
 * @throws CommandError when it belongs to another user, or others may write to it
 */
export function makeSocketDirectory(data: string): void {
  mkdirSync(socketDirectory(data), { recursive: true, mode: 0o700 })
  checkSocketDirectory(data)
}

/**
 * Checks that a coordinator's socket can be the coordinator's alone.
 *
 * @param socket where its data directory says that it is
 * @throws CommandError as {@link makeSocketDirectory} does; `unreachable` when there is no such directory
 */
export function checkSocketDirectory(data: string, socket = socketPath(data)): void {
  const directory = dirname(socket)
  try {
    // A data directory is named by the caller, and may be that of a service of another user.
    checkPrivateDirectory(data, 'any')
    if (realpathSync(directory) !== realpathSync(data)) checkOwnDirectory(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new CommandError(`no coordinator: ${directory}, the directory of its socket, is gone`, EXIT.unreachable)
    }
    if (!(error instanceof Untrusted)) throw error
    throw new CommandError(`the directory of the coordinator's socket is not safe: ${error.message}`)
  }
}

function socketDirectory(data: string): string {
  const maxLength = Math.max(...Object.values(NAMES).map((name) => Buffer.byteLength(join(data, name))))
  if (maxLength <= MAX_SOCKET_PATH_LENGTH) return data
  const id = createHash('sha256').update(data).digest('hex').slice(0, 16)
  return join(tmpdir(), `resile-${process.getuid?.() ?? 'user'}-${id}`)
}
