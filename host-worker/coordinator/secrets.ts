/** The secrets of a coordinator: from its environment or from files, never in its configuration document. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigDocument, CoordinatorConfig, SecretPlace } from '../../shared/config.ts'
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
  const webhooks = await webhookSecrets(project, coordinator)
  const receivers = await receiverSecrets(project, coordinator)
  for (const [secret, name] of receivers.owners) {
    const webhook = webhooks.owners.get(secret)
    // Whoever is told could sign triggers.
    if (webhook !== undefined) throw new CommandError(`webhook ${webhook} and receiver ${name} have the same secret`)
  }
  return {
    document: {
      ...document,
      coordinator: { ...document.coordinator, webhook: webhooks.blocks, receiver: receivers.blocks },
    },
    secrets: {
      [PERMIT_KEYS]: await permitKeys(project, data, coordinator),
      ...webhooks.secrets,
      ...receivers.secrets,
    },
  }
}

/** Secrets of one kind of block: by binding, whose each one is, and the blocks that speak of the bindings. */
interface BlockSecrets<Block> {
  secrets: Record<string, string>
  owners: Map<string, string>
  blocks: Record<string, Block>
}

type Blocks<Key extends 'webhook' | 'receiver'> = NonNullable<ConfigDocument['coordinator'][Key]>

async function webhookSecrets(
  project: string,
  { webhook }: CoordinatorConfig,
): Promise<BlockSecrets<Blocks<'webhook'>[string]>> {
  const found: BlockSecrets<Blocks<'webhook'>[string]> = { secrets: {}, owners: new Map(), blocks: {} }
  for (const [index, [name, { workflow, ...place }]] of Object.entries(webhook).entries()) {
    const variable = `WEBHOOK_SECRET_${index}`
    const secret = await readSecret(project, `webhook ${name}`, place)
    const owner = found.owners.get(secret)
    // What is signed names no webhook: a message to one would be good for the other.
    if (owner !== undefined) throw new CommandError(`webhooks ${owner} and ${name} have the same secret`)
    found.owners.set(secret, name)
    found.secrets[variable] = secret
    found.blocks[name] = { secret_env: variable, ...(workflow === undefined ? {} : { workflow }) }
  }
  return found
}

async function receiverSecrets(
  project: string,
  { receiver }: CoordinatorConfig,
): Promise<BlockSecrets<Blocks<'receiver'>[string]>> {
  const found: BlockSecrets<Blocks<'receiver'>[string]> = { secrets: {}, owners: new Map(), blocks: {} }
  for (const [index, [name, block]] of Object.entries(receiver).entries()) {
    const { webhook } = block
    found.blocks[name] = block
    if (webhook?.secret_env === undefined && webhook?.secret_file === undefined) continue
    const variable = `RECEIVER_SECRET_${index}`
    const secret = await readSecret(project, `receiver ${name}`, webhook)
    found.owners.set(secret, name)
    found.secrets[variable] = secret
    found.blocks[name] = { webhook: { url: webhook.url, secret_env: variable } }
  }
  return found
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

async function readSecret(project: string, owner: string, { secret_env, secret_file }: SecretPlace): Promise<string> {
  if (secret_file !== undefined) {
    try {
      return (await readFile(resolve(project, secret_file), 'utf8')).trim()
    } catch (error) {
      throw new CommandError(`${owner}: its secret_file can't be read: ${messageOf(error)}`)
    }
  }
  const value = process.env[secret_env ?? '']
  if (value !== undefined && value !== '') return value
  throw new CommandError(`${owner}: the environment variable ${secret_env} of its secret is not set`)
}
