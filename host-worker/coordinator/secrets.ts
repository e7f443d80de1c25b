/** The secrets of a coordinator: from its environment or from files, never in its configuration document. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type {
  ConfigDocument,
  CoordinatorConfig,
  ReceiverConfig,
  RotatedSecretPlace,
  SecretPlace,
} from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { BadCertificateFile } from '../certs/bad-file.ts'
import { certificatePaths } from '../certs/paths.ts'
import { loadOrCreatePermitKeys, readPermitKeys } from '../certs/permit-keys.ts'
import { CommandError } from '../process/exit-codes.ts'
import { readTrustedFile } from '../process/file-trust.ts'

/** The binding that holds the keys which sign permits. */
const PERMIT_KEYS = 'PERMIT_KEYS'

/** The binding that holds the secret with which Slack signs. */
const SLACK_SECRET = 'SLACK_SIGNING_SECRET'

/** Where a coordinator's certificates and keys are, unless the configuration names others. */
export function certificatesDirectory(data: string): string {
  return resolve(data, 'certs')
}

/** The file of the keys that sign permits. */
function permitKeysFile(project: string, data: string, coordinator: CoordinatorConfig): string {
  const { permits } = coordinator
  if (permits === undefined) return certificatePaths(certificatesDirectory(data)).permitKeys
  return resolve(project, permits.key_file)
}

/** The files that a coordinator reads secrets from, the keys that sign permits among them; absolute. */
export function secretFiles(project: string, data: string, coordinator: CoordinatorConfig): string[] {
  const { webhook, slack, receiver } = coordinator
  const places: RotatedSecretPlace[] = [
    ...Object.values(webhook),
    ...(slack === undefined ? [] : [slackPlace(slack)]),
    ...Object.values(receiver).map((block) => secretOf(block).place),
  ]
  const files = places
    .flatMap(({ secret_file, previous_secret_file }) => [secret_file, previous_secret_file])
    .flatMap((file) => (file === undefined ? [] : [resolve(project, file)]))
  return [permitKeysFile(project, data, coordinator), ...new Set(files)]
}

/**
 * Reads all secrets. The keys that sign permits are made when no file of them is configured and none is there.
 *
 * @returns their values by the names of the Worker's bindings, and the document that refers to these
 * @throws CommandError that names what is missing
 */
export async function readSecrets(
  project: string,
  data: string,
  document: ConfigDocument,
  coordinator: CoordinatorConfig,
): Promise<{ document: ConfigDocument; secrets: Record<string, string> }> {
  const webhooks = await webhookSecrets(project, coordinator)
  const slack = await slackSecret(project, coordinator)
  const receivers = await receiverSecrets(project, coordinator)
  const senders = new Map([...webhooks.owners].map(([secret, name]) => [secret, `webhook ${name}`]))
  for (const secret of Object.values(slack?.secrets ?? {})) {
    const owner = senders.get(essence(secret)) ?? 'slack'
    if (owner !== 'slack') throw new CommandError(`${owner} and slack have the same secret`)
    senders.set(essence(secret), owner)
  }
  for (const [secret, name] of receivers.owners) {
    const sender = senders.get(secret)
    // Anyone who can read an escalation's secret could sign triggers.
    if (sender !== undefined) throw new CommandError(`${sender} and receiver ${name} have the same secret`)
  }
  return {
    document: {
      ...document,
      coordinator: {
        ...document.coordinator,
        webhook: webhooks.blocks,
        ...(slack === null ? {} : { slack: slack.block }),
        receiver: receivers.blocks,
      },
    },
    secrets: {
      [PERMIT_KEYS]: await permitKeys(project, data, coordinator),
      ...webhooks.secrets,
      ...slack?.secrets,
      ...receivers.secrets,
    },
  }
}

/** The content of a secret, however it is written: who knows one spelling knows the others. */
function essence(secret: string): string {
  return secret
    .trim()
    .replace(/^whsec_/, '')
    .replace(/=+$/, '')
}

/** The secrets of one kind of block: by binding, the owner of each, and the blocks that refer to the bindings. */
interface BlockSecrets<Block> {
  secrets: Record<string, string>
  /** By {@link essence}. */
  owners: Map<string, string>
  blocks: Record<string, Block>
}

type Blocks<Key extends 'webhook' | 'receiver'> = NonNullable<ConfigDocument['coordinator'][Key]>

async function webhookSecrets(
  project: string,
  { webhook }: CoordinatorConfig,
): Promise<BlockSecrets<Blocks<'webhook'>[string]>> {
  const found: BlockSecrets<Blocks<'webhook'>[string]> = { secrets: {}, owners: new Map(), blocks: {} }
  for (const [index, [name, { workflow, format, ...place }]] of Object.entries(webhook).entries()) {
    const { secrets, bound } = await readRotated(project, `webhook ${name}`, place, `WEBHOOK_SECRET_${index}`)
    for (const secret of Object.values(secrets)) {
      const owner = found.owners.get(essence(secret)) ?? name
      // What is signed names no webhook: a message to one would be good for the other.
      if (owner !== name) throw new CommandError(`webhooks ${owner} and ${name} have the same secret`)
      found.owners.set(essence(secret), name)
    }
    Object.assign(found.secrets, secrets)
    found.blocks[name] = { ...bound, format, ...(workflow === undefined ? {} : { workflow }) }
  }
  return found
}

async function slackSecret(
  project: string,
  { slack }: CoordinatorConfig,
): Promise<{ secrets: Record<string, string>; block: ConfigDocument['coordinator']['slack'] } | null> {
  if (slack === undefined) return null
  const { secrets, bound } = await readRotated(project, 'slack', slackPlace(slack), SLACK_SECRET, 'signing_secret')
  const { secret_env: signing_secret_env, previous_secret_env: previous_signing_secret_env } = bound
  const { response_prefix } = slack
  return { secrets, block: { signing_secret_env, previous_signing_secret_env, response_prefix } }
}

/** Where Slack's signing secret is. */
function slackPlace(slack: NonNullable<CoordinatorConfig['slack']>): RotatedSecretPlace {
  return {
    secret_env: slack.signing_secret_env,
    secret_file: slack.signing_secret_file,
    previous_secret_env: slack.previous_signing_secret_env,
    previous_secret_file: slack.previous_signing_secret_file,
  }
}

async function receiverSecrets(
  project: string,
  { receiver }: CoordinatorConfig,
): Promise<BlockSecrets<Blocks<'receiver'>[string]>> {
  const found: BlockSecrets<Blocks<'receiver'>[string]> = { secrets: {}, owners: new Map(), blocks: {} }
  for (const [index, [name, block]] of Object.entries(receiver).entries()) {
    const variable = `RECEIVER_SECRET_${index}`
    const { place, key, bind } = secretOf(block)
    found.blocks[name] = block
    if (place.secret_env === undefined && place.secret_file === undefined) continue
    const { secrets, bound } = await readRotated(project, `receiver ${name}`, place, variable, key)
    if (block.slack !== undefined && !isHttpUrl(secrets[variable] ?? '')) {
      throw new CommandError(`receiver ${name}: its secret is not an http:// or https:// URL`)
    }
    for (const secret of Object.values(secrets)) found.owners.set(essence(secret), name)
    Object.assign(found.secrets, secrets)
    found.blocks[name] = bind(bound)
  }
  return found
}

/** Where a receiver's secret is configured, the prefix of its keys, and its block when it refers to bindings instead. */
function secretOf(block: ReceiverConfig): {
  place: RotatedSecretPlace
  key: string
  bind: (bound: Bound) => Blocks<'receiver'>[string]
} {
  const { webhook, slack, pagerduty } = block
  if (slack !== undefined) {
    const place = { secret_env: slack.url_env, secret_file: slack.url_file }
    return { place, key: 'url', bind: ({ secret_env }) => ({ slack: { url_env: secret_env } }) }
  }
  if (pagerduty !== undefined) {
    const place = { secret_env: pagerduty.routing_key_env, secret_file: pagerduty.routing_key_file }
    const { url } = pagerduty
    return {
      place,
      key: 'routing_key',
      bind: ({ secret_env }) => ({ pagerduty: { routing_key_env: secret_env, url } }),
    }
  }
  if (webhook === undefined) return { place: {}, key: 'secret', bind: () => block }
  const { url, ...place } = webhook
  return { place, key: 'secret', bind: (bound) => ({ webhook: { url, ...bound } }) }
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

/** The names of the bindings that hold a secret and the one that it replaces. */
interface Bound {
  secret_env: string
  previous_secret_env?: string
}

/**
 * Reads a secret and the one that it replaces.
 *
 * @param key what the keys begin with that say where the secret is
 * @returns both by their bindings, and the names of these
 */
async function readRotated(
  project: string,
  owner: string,
  place: RotatedSecretPlace,
  variable: string,
  key = 'secret',
): Promise<{ secrets: Record<string, string>; bound: Bound }> {
  const present = await readSecret(project, owner, place, key)
  const alone = { secrets: { [variable]: present }, bound: { secret_env: variable } }
  const { previous_secret_env: secret_env, previous_secret_file: secret_file } = place
  if (secret_env === undefined && secret_file === undefined) return alone
  if (secret_file !== undefined && !existsSync(resolve(project, secret_file))) {
    // An operator ends a rotation by removing the file.
    log('warn', 'previous_secret_missing', { owner, detail: `there is no ${secret_file}: it is not in use` })
    return alone
  }
  const previous = await readSecret(project, owner, { secret_env, secret_file }, `previous_${key}`)
  const variableOfPrevious = `${variable}_PREVIOUS`
  return {
    secrets: { ...alone.secrets, [variableOfPrevious]: previous },
    bound: { ...alone.bound, previous_secret_env: variableOfPrevious },
  }
}

async function readSecret(
  project: string,
  owner: string,
  { secret_env, secret_file }: SecretPlace,
  key: string,
): Promise<string> {
  if (secret_file !== undefined) {
    const text = await readTrustedFile(resolve(project, secret_file)).catch((error: unknown) => {
      throw new CommandError(`${owner}: its ${key}_file can't be read: ${messageOf(error)}`)
    })
    if (text.trim() === '') throw new CommandError(`${owner}: its ${key}_file is empty`)
    return text.trim()
  }
  const value = process.env[secret_env ?? '']
  if (value !== undefined && value !== '') return value
  throw new CommandError(`${owner}: the environment variable ${secret_env} of its ${key} is not set`)
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
