import { relative, resolve } from 'node:path'
import { coordinatorSchema } from '../../shared/config.ts'
import { isSpiffeId, isTrustDomain } from '../../shared/spiffe-id.ts'
import { BadCertificateFile } from '../certs/bad-file.ts'
import { clientsOf, isClientName } from '../certs/clients.ts'
import { canonicalHost } from '../certs/hosts.ts'
import {
  type CertificateFile,
  type CertificateFiles,
  type CertificateOptions,
  makeCertificates,
} from '../certs/make-certificates.ts'
import { formatDiagnostic } from '../config/check.ts'
import { list } from '../config/directory.ts'
import { loadFile } from '../config/load-file.ts'
import { CommandError, usage } from '../process/exit-codes.ts'
import { table } from './tables.ts'

/** As the command line has them. */
export interface CertsOptions {
  out?: string
  project: string
  trustDomain?: string
  host: readonly string[]
  client: readonly string[]
  days: string
  rotatePermitKey: boolean
  json: boolean
}

/** `resile certs`: makes development certificates, and keeps those that are there and good. */
export async function certs(options: CertsOptions): Promise<void> {
  const named = namedClients(options.client)
  const checked = {
    directory: options.out ?? resolve(options.project, '.resile/certs'),
    hosts: options.host.map(host),
    days: days(options.days),
    rotatePermitKey: options.rotatePermitKey,
  }
  const trustDomain = options.trustDomain
  if (trustDomain !== undefined && !isTrustDomain(trustDomain)) {
    throw usage(`--trust-domain must be a trust domain such as example.org, not ${JSON.stringify(trustDomain)}`)
  }
  const { clients } = clientsOf({ trustDomain, uris: await ruleUris(options.project), named })
  const made = await makeOrFail({ ...checked, clients })
  console.log(options.json ? JSON.stringify({ directory: made.directory, files: made.files }) : report(made))
}

/** The SPIFFE IDs that a project's route rules name; none without coordinator.hcl. */
async function ruleUris(project: string): Promise<string[]> {
  const directory = resolve(project)
  const listing = await list(directory)
  if (typeof listing === 'string') throw usage(`the project ${directory} can't be read: ${listing}`)
  const file = 'coordinator.hcl'
  const { problems, content } = await loadFile(resolve(directory, file), file, coordinatorSchema, 'coordinator', false)
  if (problems.length > 0) {
    const lines = problems.map((problem) => formatDiagnostic(problem))
    throw new CommandError([`the project's ${file} has errors:`, ...lines].join('\n'))
  }
  return content?.output.server_config?.route_rule.flatMap(({ uris }) => uris) ?? []
}

async function makeOrFail(options: CertificateOptions): Promise<CertificateFiles> {
  try {
    return await makeCertificates(options)
  } catch (error) {
    // Errors of the file system say themselves which file it was.
    if (error instanceof BadCertificateFile || isOfFileSystem(error)) throw new CommandError(error.message)
    throw error
  }
}

function isOfFileSystem(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

function report({ directory, files }: CertificateFiles): string {
  const rows = files.map((file) => [
    file.made ? 'made' : 'kept',
    relative(directory, file.path),
    holder(file),
    file.not_after?.slice(0, 10) ?? '',
  ])
  return [
    `DEVELOPMENT certificates, not for production, in ${directory}`,
    table(['', 'FILE', 'FOR', 'UNTIL'], rows),
    ...(files.some(({ made }) => made) ? [] : ['everything is there already and valid: nothing was made']),
  ].join('\n')
}

function holder({ kind, uri = '', hosts = [] }: CertificateFile): string {
  switch (kind) {
    case 'ca':
      return 'everybody, to check the others'
    case 'ca_key':
      return 'this command only'
    case 'server':
      return hosts.join(' ')
    case 'server_key':
      return 'the server alone'
    case 'client':
    case 'client_key':
      return uri
    case 'permit_keys':
      return 'the coordinator, to sign permits'
    case 'jwks':
      return 'workers, to check permits'
  }
}

function namedClients(specs: readonly string[]): { name: string; uri?: string }[] {
  const clients = specs.map(namedClient)
  const names = clients.map(({ name }) => name.toLowerCase())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw usage(`--client names ${twice} twice`)
  return clients
}

function namedClient(spec: string): { name: string; uri?: string } {
  const [, name = '', uri] = /^([^=]*)(?:=(.*))?$/s.exec(spec) ?? []
  if (!isClientName(name)) {
    throw usage(
      `--client must be NAME or NAME=SPIFFE_ID; NAME has only letters, digits, ".", "_" and "-" and does not end in "-key"; not ${JSON.stringify(spec)}`,
    )
  }
  if (uri === undefined) return { name }
  if (!isSpiffeId(uri)) {
    throw usage(
      `--client ${name}: expected a SPIFFE ID such as spiffe://example.org/operator, not ${JSON.stringify(uri)}`,
    )
  }
  return { name, uri }
}

function host(text: string): string {
  const canonical = canonicalHost(text)
  if (canonical === null) throw usage(`--host must be a DNS name or an IP address, not ${JSON.stringify(text)}`)
  return canonical
}

function days(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > 3650) throw usage(`--days must be a number from 1 to 3650, not ${JSON.stringify(text)}`)
  return count
}
