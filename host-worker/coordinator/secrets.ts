/** The secrets of a coordinator: from its environment or from files, never in its configuration document. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigDocument, CoordinatorConfig } from '../../shared/config.ts'
import { messageOf } from '../../shared/log.ts'
import { BadCertificateFile } from '../certs/bad-file.ts'
import { certificatePaths } from '../certs/paths.ts'
import { loadOrCreatePermitKeys, readPermitKeys } from '../certs/permit-keys.ts'
import { CommandError } from '../cli/exit-codes.ts'

/** The binding that holds the keys which sign permits. */
const PERMIT_KEYS = 'PERMIT_KEYS'

/** Where a coordinator's certificates and keys are, unless the configuration names others. */
export function certificatesDirectory(data: string): string {
  return resolve(data, 'certs')
}

/** The file of the keys that sign permits. */
export function permitKeysFile(project: string, data: string, coordinator: CoordinatorConfig): string {
  const { permits } = coordinator
  if (permits === undefined) return certificatePaths(certificatesDirectory(data)).permitKeys
  return resolve(project, permits.key_file)
}

/**
 * Reads all secrets. The keys that sign permits are made when no file of them is configured and none is there.
 *
 * @returns their values by the names of the Worker's bindings, and the document that speaks of these
 * @throws CommandError that names what is missing
 */
export async function readSecrets(
  project: string,
  data: string,
  document: ConfigDocument,
  coordinator: CoordinatorConfig,
): Promise<{ document: ConfigDocument; secrets: Record<string, string> }> {
  const secrets: Record<string, string> = { [PERMIT_KEYS]: await permitKeys(project, data, coordinator) }
  const owners = new Map<string, string>()
  const webhooks: NonNullable<ConfigDocument['coordinator']['webhook']> = {}
  for (const [index, [name, webhook]] of Object.entries(coordinator.webhook).entries()) {
    const variable = `WEBHOOK_SECRET_${index}`
    const secret = await webhookSecret(project, name, webhook)
    const owner = owners.get(secret)
    // What is signed names no webhook: a message to one would be good for the other.
    if (owner !== undefined) throw new CommandError(`webhooks ${owner} and ${name} have the same secret`)
    owners.set(secret, name)
    secrets[variable] = secret
    webhooks[name] = { secret_env: variable, ...(webhook.workflow === undefined ? {} : { workflow: webhook.workflow }) }
  }
  return { document: { ...document, coordinator: { ...document.coordinator, webhook: webhooks } }, secrets }
}

async function permitKeys(project: string, data: string, coordinator: CoordinatorConfig): Promise<string> {
  const file = permitKeysFile(project, data, coordinator)
  try {
    const set =
      coordinator.permits === undefined ? (await loadOrCreatePermitKeys(file)).set : await readPermitKeys(file)
    return JSON.stringify(set)
  } catch (error) {
    if (error instanceof BadCertificateFile) throw new CommandError(error.message)
    throw error
  }
}

async function webhookSecret(
  project: string,
  name: string,
  { secret_env, secret_file }: CoordinatorConfig['webhook'][string],
): Promise<string> {
  if (secret_file !== undefined) {
    try {
      return (await readFile(resolve(project, secret_file), 'utf8')).trim()
    } catch (error) {
      throw new CommandError(`webhook ${name}: its secret_file can't be read: ${messageOf(error)}`)
    }
  }
  const value = process.env[secret_env ?? '']
  if (value !== undefined && value !== '') return value
  throw new CommandError(`webhook ${name}: the environment variable ${secret_env} of its secret is not set`)
}
