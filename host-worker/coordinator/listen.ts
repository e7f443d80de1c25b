/** Where a coordinator listens: an address, or a socket that systemd holds for it. */
import { CommandError, EXIT } from '../process/exit-codes.ts'
import type { Listen } from './front/front.ts'

/** Names of what listens on loopback, without port. */
export const LOOPBACK_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** The first descriptor that is passed (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3

/**
 * The socket that systemd passed, null when there is none. The variables are taken away, so that no child takes its own
 * descriptors for it.
 *
 * @see sd_listen_fds(3)
 * @throws CommandError for more than one
 */
export function passedSocket(environment: NodeJS.ProcessEnv): { fd: number } | null {
  const { LISTEN_FDS, LISTEN_PID, RESILE_LISTEN_FD } = environment
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'RESILE_LISTEN_FD']) delete environment[name]
  // The launcher (tools/runtime.mjs) was passed one, and passes it on.
  if (RESILE_LISTEN_FD !== undefined) return { fd: Number(RESILE_LISTEN_FD) }
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(process.pid)) return null
  const count = Number(LISTEN_FDS)
  if (count === 0) return null
  if (count !== 1) throw new CommandError(`one socket is expected, but ${LISTEN_FDS} were passed (LISTEN_FDS)`)
  return { fd: FIRST_DESCRIPTOR }
}

/**
 * Reads `HOST:PORT`.
 *
 * @throws CommandError `usage`
 */
export function parseListen(text: string): Exclude<Listen, { fd: number }> {
  const [, host = '', port = ''] = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text) ?? []
  if (host === '' || Number(port) > 65_535) {
    throw new CommandError(`--listen must be HOST:PORT, not ${JSON.stringify(text)}`, EXIT.usage)
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}
