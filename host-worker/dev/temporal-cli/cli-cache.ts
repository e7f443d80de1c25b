import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { PACKAGE_ROOT } from '../../process/package-root.ts'
import { type CliVersion, isNewEnough, oldestServer, readCliVersion } from './cli-version.ts'

/** A Temporal CLI in the cache. */
export interface CachedCli extends CliVersion {
  path: string
}

/** Temporal CLIs that were fetched or built before, each in a folder that appears complete or not at all. */
export class CliCache {
  /** Where it looks, the best place first; it stores in the first that can be written. */
  readonly folders: string[]

  constructor(env: NodeJS.ProcessEnv) {
    this.folders = cacheFolders(env)
  }

  find(key: string): CachedCli | undefined {
    for (const folder of this.folders) {
      const found = readEntry(join(folder, key))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Has `fill` put a CLI named `temporal` into a draft folder, checks that it runs, and puts it in place. */
  async store(key: string, fill: (draft: string) => Promise<void>, signal?: AbortSignal): Promise<CachedCli> {
    const folder = writableFolder(this.folders)
    removeOldDrafts(folder)
    const draft = mkdtempSync(join(folder, `${draftPrefix}${key}-`))
    try {
      await fill(draft)
      const path = join(draft, 'temporal')
      chmodSync(path, 0o755)
      const version = await readCliVersion(path, signal)
      if (!isNewEnough(version)) throw new Error(`its server is ${version.serverVersion}, older than ${oldestServer}`)
      writeFileSync(join(draft, noteFile), `${JSON.stringify({ ...version, size: statSync(path).size })}\n`)
      putInPlace(draft, join(folder, key))
    } finally {
      rmSync(draft, { recursive: true, force: true })
    }
    const stored = readEntry(join(folder, key))
    if (stored === undefined) throw new Error(`what was stored in ${join(folder, key)} can't be read again`)
    return stored
  }
}

function cacheFolders(env: NodeJS.ProcessEnv): string[] {
  const { XDG_CACHE_HOME: xdg = '', HOME: home = '' } = env
  return [
    ...(isAbsolute(xdg) ? [join(xdg, 'resile')] : isAbsolute(home) ? [join(home, '.cache/resile')] : []),
    join(PACKAGE_ROOT, '.resile/cache'),
  ].map((folder) => join(folder, 'temporal-cli'))
}

const draftPrefix = 'draft-'
const oneDayMs = 24 * 60 * 60 * 1000
const noteFile = 'temporal.json'
const noteSchema = z.object({ version: z.string(), serverVersion: z.string(), size: z.int() })

function readEntry(folder: string): CachedCli | undefined {
  const path = join(folder, 'temporal')
  try {
    const { size, ...version } = noteSchema.parse(JSON.parse(readFileSync(join(folder, noteFile), 'utf8')))
    accessSync(path, constants.X_OK)
    // A full disk, or a clean-up, may have left a part of it.
    return statSync(path).size === size && isNewEnough(version) ? { path, ...version } : undefined
  } catch {
    return undefined
  }
}

function writableFolder(folders: readonly string[]): string {
  const reasons: string[] = []
  for (const folder of folders) {
    try {
      mkdirSync(folder, { recursive: true })
      accessSync(folder, constants.W_OK)
      return folder
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error(`no place to keep a Temporal CLI: ${reasons.join('; ')}`)
}

/** A killed process leaves as much behind as a CLI is large. */
function removeOldDrafts(folder: string): void {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(draftPrefix))) {
    const changedAt = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs
    if (changedAt !== undefined && changedAt < Date.now() - oneDayMs) {
      rmSync(join(folder, name), { recursive: true, force: true })
    }
  }
}

/** Another process may have stored the same meanwhile: then that one is as good as ours. */
function putInPlace(draft: string, place: string): void {
  if (existsSync(place) && readEntry(place) === undefined) rmSync(place, { recursive: true, force: true })
  try {
    renameSync(draft, place)
  } catch (error) {
    if (readEntry(place) === undefined) throw error
  }
}
