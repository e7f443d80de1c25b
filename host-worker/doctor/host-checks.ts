/** Checks of the host alone. */
import { constants } from 'node:fs'
import { access, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import type { CommandConfig } from '../../shared/config.ts'
import { messageOf } from '../../shared/log.ts'
import { formatDiagnostic } from '../config/check.ts'
import type { LoadedProject } from '../config/project.ts'
import type { CredentialFiles } from '../net/client-credentials.ts'
import { judgeCertificate } from './certificates.ts'
import { type Finding, fail, ok, warn, worst } from './check.ts'

/** Oldest Node that Resile runs on. */
const NODE_MAJOR = 24

/** Whether this Node is new enough. */
export function checkRuntime(version = process.versions.node): Finding {
  return Number.parseInt(version, 10) >= NODE_MAJOR
    ? ok(`Node ${version}`)
    : fail(`Node ${version}`, `Resile needs Node ${NODE_MAJOR} or newer`)
}

/** Whether the project can be read. */
export function checkConfig({ dir, errors, warnings }: Omit<LoadedProject, 'project'>): Finding {
  const [error] = errors
  if (error !== undefined) {
    return fail(`${errors.length} errors, the first: ${formatDiagnostic(error)}`, `resile check --project ${dir}`)
  }
  const [warning] = warnings
  if (warning === undefined) return ok(dir)
  return warn(`${warnings.length} warnings, the first: ${formatDiagnostic(warning)}`, `resile check --project ${dir}`)
}

/**
 * Whether the programs of the allow-list are there.
 *
 * @param directory where commands run
 */
export async function checkCommands(
  commands: Readonly<Record<string, CommandConfig>>,
  directory: string,
): Promise<Finding> {
  const names = Object.keys(commands)
  if (names.length === 0) return ok('there are none')
  const findings = Object.entries(commands).map(async ([name, { argv }]): Promise<Finding> => {
    const [program = ''] = argv
    // Which program that is, is known only when it is called.
    if (program.includes('{')) return ok(name)
    if (await findProgram(program, directory)) return ok(name)
    return fail(`${name}: there is no program ${program} to run`, 'install it, or correct argv in worker.hcl')
  })
  const all = worst(await Promise.all(findings))
  return all.status === 'ok' ? ok(`${names.length}: ${names.join(', ')}`) : all
}

/** As execvp(3) finds it. */
async function findProgram(program: string, directory: string): Promise<boolean> {
  const { PATH = '' } = process.env
  const candidates = program.includes('/')
    ? [resolve(directory, program)]
    : PATH.split(delimiter).map((folder) => join(folder, program))
  const found = await Promise.all(candidates.map(isExecutable))
  return found.includes(true)
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/** Whether the worker can keep its state; nothing is left behind. */
export async function checkData(data: string): Promise<Finding> {
  const directory = await nearestDirectory(resolve(data))
  try {
    const probe = await mkdtemp(join(directory, '.resile-doctor-'))
    await rm(probe, { recursive: true })
  } catch (error) {
    return fail(`can't be written: ${messageOf(error)}`, "give it to the worker's user, or name another with --data")
  }
  return ok(directory === resolve(data) ? directory : `${data} can be made`)
}

/** The directory itself, or the one in which it would be made. */
async function nearestDirectory(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  const parent = dirname(path)
  return isThere || parent === path ? path : nearestDirectory(parent)
}

/**
 * Whether the host can say who it is to its coordinator.
 *
 * @param tls null when the coordinator is not called over TLS
 */
export async function checkCertificates(tls: CredentialFiles | null, expectedId: string | null): Promise<Finding> {
  if (tls === null) return ok('not used: the coordinator is not called by https://')
  const { ca_file, cert_file, key_file } = tls
  const authorities = ca_file === undefined ? null : await readable(ca_file)
  if (authorities !== null && 'problem' in authorities) return fail(authorities.problem)
  if (cert_file === undefined || key_file === undefined) {
    return warn('no client certificate: the coordinator does not know who calls', 'set cert_file and key_file')
  }
  const [cert, key] = await Promise.all([readable(cert_file), readable(key_file)])
  if ('problem' in cert) return fail(cert.problem)
  if ('problem' in key) return fail(key.problem)
  return judgeCertificate({ cert: cert.text, key: key.text, expectedId }, Date.now())
}

async function readable(file: string): Promise<{ text: string } | { problem: string }> {
  return readFile(file, 'utf8').then(
    (text) => ({ text }),
    (error: unknown) => ({ problem: `can't be read: ${messageOf(error)}` }),
  )
}
