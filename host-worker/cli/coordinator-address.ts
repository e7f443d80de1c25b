/** Which coordinator a command talks to. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isExposed } from '../../shared/loopback.ts'
import { checkSocketDirectory, socketPath } from '../coordinator/socket-path.ts'
import type { CredentialFiles } from '../net/client-credentials.ts'
import type { CoordinatorAddress } from '../net/coordinator-client.ts'
import { DEV_FILE, readDevFile } from '../net/dev-file.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'

/** Options that say where the coordinator is, and who the caller is there. */
export interface CoordinatorOptions extends TlsOptions {
  coordinator?: string | undefined
  project: string
  data?: string | undefined
}

/** Help of the option by which an `http://` coordinator on another machine is accepted. */
export const PLAINTEXT = 'accept an http:// coordinator on another machine'

/** PEM files for an `https://` coordinator; else `$RESILE_CA`, `$RESILE_CERT`, `$RESILE_KEY`. */
export interface TlsOptions {
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
  /** Accepts an `http://` coordinator that is not on this machine. */
  plaintext?: boolean | undefined
}

/**
 * `--coordinator`, else `$RESILE_COORDINATOR`, else the unix socket of the project's own `resile dev` or `resile coordinator`.
 *
 * @throws CommandError `unreachable` when none of them has it; when others could have put the socket there
 */
export async function coordinatorAddress(options: CoordinatorOptions): Promise<CoordinatorAddress> {
  const { ca, cert, key } = options
  const address = options.coordinator ?? (process.env.RESILE_COORDINATOR || undefined)
  if (address !== undefined) {
    const files = { ...environmentTls(), ...given({ ca, cert, key }) }
    return parseAddress(address, tlsFiles(files), options.plaintext === true)
  }
  const data = dataDirectory(options)
  const running = await readDevFile(data)
  const socket = running?.socket ?? socketPath(resolve(data))
  if (running !== null || existsSync(socket)) {
    checkSocketDirectory(resolve(data), socket)
    return { socket }
  }
  throw new CommandError(
    `no coordinator: nothing runs here (no ${join(data, DEV_FILE)}, no ${socket}); start \`resile dev\`, or name one with --coordinator or $RESILE_COORDINATOR`,
    EXIT.unreachable,
  )
}

/** Where a project's state is kept: `--data`, else `.resile` in the project. */
export function dataDirectory(options: { project: string; data?: string | undefined }): string {
  return options.data ?? join(options.project, '.resile')
}

/** The files that the environment names. */
export function environmentTls(): TlsOptions {
  const { RESILE_CA, RESILE_CERT, RESILE_KEY } = process.env
  return { ca: RESILE_CA || undefined, cert: RESILE_CERT || undefined, key: RESILE_KEY || undefined }
}

/** Those of its keys that have a value. */
export function given<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Options>
}

/**
 * The files that options name.
 *
 * @throws CommandError `usage` for a certificate without its key, and the other way round
 */
export function tlsFiles(options: TlsOptions): CredentialFiles {
  const files = { ca_file: options.ca, cert_file: options.cert, key_file: options.key }
  if ((files.cert_file === undefined) !== (files.key_file === undefined)) {
    throw new CommandError('a client certificate needs its key: --cert and --key go together', EXIT.usage)
  }
  return files
}

/**
 * Reads `http://…`, `https://…` or `unix:PATH`.
 *
 * @param plaintext whether an `http://` URL may lead to another machine
 * @throws CommandError `usage`
 */
export function parseAddress(text: string, tls: CredentialFiles, plaintext: boolean): CoordinatorAddress {
  if (text.startsWith('unix:')) return { socket: text.slice('unix:'.length) }
  if (!plaintext && isExposed(text)) {
    throw new CommandError(
      `${text} would be called unencrypted: use https://, or --plaintext to accept it (in worker.hcl: plaintext = true)`,
      EXIT.usage,
    )
  }
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return { url: text, tls }
  throw new CommandError(
    `not the address of a coordinator: ${text} (expected http://…, https://… or unix:PATH)`,
    EXIT.usage,
  )
}
