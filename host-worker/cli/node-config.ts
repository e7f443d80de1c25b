/** Which node a command is about, and whom that node talks to. */
import { resolve } from 'node:path'
import { type WorkerConfig, workerSchema } from '../../shared/config.ts'
import type { Project } from '../config/project.ts'
import { systemdCommands } from '../config/systemd-commands.ts'
import { credentialFilesIn } from '../net/client-credentials.ts'
import type { CoordinatorAddress } from '../net/coordinator-client.ts'
import { usage } from '../process/exit-codes.ts'
import { environmentTls, given, parseAddress, type TlsOptions, tlsFiles } from './coordinator-address.ts'

/** The command line's settings of a node; the others are in worker.hcl. */
export interface NodeOptions extends TlsOptions {
  project: string
  node?: string
  datacenter?: string
  types?: string
  coordinator?: string
  temporalAddress?: string
  temporalPlaintext?: boolean
  plaintext?: boolean
  namespace?: string
  metrics?: string
}

/**
 * worker.hcl, with the command line's word over it.
 *
 * @throws CommandError `usage` when neither says which node it is, or the command line is wrong
 */
export function nodeConfig(options: NodeOptions, project: Pick<Project, 'worker' | 'commands'>): WorkerConfig {
  const { worker: file } = project
  const node = options.node ?? file?.node
  const datacenter = options.datacenter ?? file?.datacenter
  if (node === undefined || datacenter === undefined) {
    throw usage('no node is named: write worker.hcl, or give both --node and --datacenter')
  }
  const parsed = workerSchema.safeParse({
    node,
    datacenter,
    types: options.types === undefined ? (file?.types ?? []) : options.types.split(',').filter((type) => type !== ''),
    temporal: temporalOf(options, project),
    metrics: options.metrics === undefined ? file?.metrics : { listen: options.metrics },
  })
  if (!parsed.success)
    throw usage(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
  const { types, temporal, metrics } = parsed.data
  const bootIdFile = file?.boot_id_file?.replaceAll('{node}', node)
  return {
    ...parsed.data,
    ...file,
    // What the command line may say differently.
    node,
    datacenter,
    types,
    temporal,
    ...(metrics === undefined ? {} : { metrics }),
    ...(bootIdFile === undefined ? {} : { boot_id_file: bootIdFile }),
    ...absolutePaths(options.project, file),
    // What worker.hcl says itself comes first.
    command: { ...systemdCommands(file?.systemd), ...project.commands },
  }
}

/** Files that worker.hcl names are relative to it. */
function absolutePaths(project: string, file: WorkerConfig | null): Partial<WorkerConfig> {
  if (file === null) return {}
  const { coordinator, permits, load_balancer } = file
  const balancers = Object.entries(load_balancer).map(([name, balancer]): [string, typeof balancer] => {
    const token = balancer.http?.token_file
    if (balancer.http === undefined || token === undefined) return [name, balancer]
    return [name, { ...balancer, http: { ...balancer.http, token_file: resolve(project, token) } }]
  })
  const { ca_file, cert_file, key_file } = coordinator ?? {}
  return {
    permits: { ...permits, jwks_files: permits.jwks_files.map((path) => resolve(project, path)) },
    load_balancer: Object.fromEntries(balancers),
    ...(coordinator === undefined
      ? {}
      : { coordinator: { ...coordinator, ...credentialFilesIn(project, { ca_file, cert_file, key_file }) } }),
  }
}

/** The `temporal` block; files are relative to the project. */
function temporalOf(options: NodeOptions, { worker }: Pick<Project, 'worker'>): object {
  const { address, namespace, plaintext, server_name, ...files } = worker?.temporal ?? {}
  const tls = { plaintext, server_name, ...credentialFilesIn(options.project, files) }
  return {
    address: options.temporalAddress ?? address,
    namespace: options.namespace ?? namespace,
    ...(options.temporalPlaintext === true ? { plaintext: true } : tls),
  }
}

/** The coordinator at an address, called with the files of worker.hcl or of the command line. */
export function nodeCoordinator(
  address: string,
  options: NodeOptions,
  config: Pick<WorkerConfig, 'coordinator'>,
): CoordinatorAddress {
  const plaintext = options.plaintext === true || config.coordinator?.plaintext === true
  const { ca_file, cert_file, key_file } = config.coordinator ?? {}
  // What this node is configured for says more than what the shell has for all commands.
  const own = cert_file === undefined ? {} : { cert_file, key_file }
  const files = { ...tlsFiles(environmentTls()), ...given({ ca_file, ...own }), ...given(tlsFiles(options)) }
  return parseAddress(address, files, plaintext)
}
