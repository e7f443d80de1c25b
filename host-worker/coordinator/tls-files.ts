import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ServerConfig } from '../../shared/config.ts'
import { certificatePaths } from '../certs/paths.ts'
import { CommandError } from '../process/exit-codes.ts'
import type { ServerTlsFiles } from './front/server-tls.ts'

type TlsKeys = Partial<Pick<ServerConfig, 'cert_file' | 'key_file' | 'client_ca_file' | 'crl_file'>>

/**
 * The certificates of a coordinator: what server_config names, relative to the project, else what `resile certs` made.
 *
 * @param directory where `resile certs` puts them
 * @throws CommandError that names each file that is missing, and how to get it
 */
export async function serverTlsFiles(
  project: string,
  directory: string,
  { cert_file, key_file, client_ca_file, crl_file }: TlsKeys,
): Promise<ServerTlsFiles> {
  const made = certificatePaths(directory)
  const from = (file: string | undefined, fallback: string): string =>
    file === undefined ? fallback : resolve(project, file)
  const files = {
    cert_file: from(cert_file, made.server),
    key_file: from(key_file, made.serverKey),
    client_ca_file: from(client_ca_file, made.ca),
    ...(crl_file === undefined ? {} : { crl_file: resolve(project, crl_file) }),
  }
  const missing = await Promise.all(
    Object.entries(files).map(async ([key, file]) =>
      access(file).then(
        () => [],
        () => [`server_config.${key}: there is no ${file}`],
      ),
    ),
  )
  const lines = missing.flat()
  if (lines.length > 0) {
    throw new CommandError([...lines, '`resile certs` makes certificates for development'].join('\n'))
  }
  return { cert: files.cert_file, key: files.key_file, clientCa: files.client_ca_file, crl: files.crl_file ?? null }
}
