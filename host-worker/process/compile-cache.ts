/**
 * Where Node keeps what it made of a program's source. With it, the program loads no TypeScript compiler, which would cost
 * it some 20 MB for as long as it lives, and it starts sooner.
 *
 * @see https://nodejs.org/api/module.html#module-compile-cache
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../shared/log.ts'
import { PACKAGE_ROOT } from './package-root.ts'

/** The folders of the modules. */
const SOURCES = ['host-worker', 'shared', 'workflows/sdk']
/** How long the cache may take to be filled, in milliseconds. */
const FILL_TIMEOUT_MS = 30_000

/**
 * Fills the cache when the source is another than it was.
 *
 * @param data the data directory; made when missing
 * @param programs the modules whose imports are kept; called with `--warm` and without any input they must end
 * @param warn called with the reason when there is no cache
 * @returns the cache's directory; null when it can't be had: then the program needs more memory, and nothing else is different
 */
export async function compileCache(
  data: string,
  programs: readonly string[],
  warn: (detail: string) => void,
): Promise<string | null> {
  const caches = join(data, 'compile-cache')
  try {
    await mkdir(caches, { recursive: true, mode: 0o700 })
    await mustBeOurs(caches)
    const version = await versionOfSources()
    const directory = join(caches, version)
    if (!existsSync(directory)) {
      await fill(directory, programs)
      await removeOthers(caches, version)
    }
    return directory
  } catch (error) {
    warn(messageOf(error))
    return null
  }
}

/** @throws Error when another user could put code there that this user's programs would run */
async function mustBeOurs(directory: string): Promise<void> {
  const { uid, mode } = await lstat(directory)
  if (uid === process.getuid?.() && (mode & 0o170022) === 0o40000) return
  throw new Error(`${directory} is somebody else's, or others may write to it`)
}

/** Changes with the source, and with Node. */
async function versionOfSources(): Promise<string> {
  const hash = createHash('sha256').update(process.version)
  for (const source of SOURCES) {
    const files = await readdir(join(PACKAGE_ROOT, source), { recursive: true })
    for (const file of files.filter((name) => name.endsWith('.ts')).sort()) {
      const { size, mtimeMs } = await stat(join(PACKAGE_ROOT, source, file))
      hash.update(`${source}/${file} ${size} ${mtimeMs}\n`)
    }
  }
  return hash.digest('hex').slice(0, 16)
}

/** Under a temporary name first, so that no other process takes an incomplete cache for a complete one. */
async function fill(directory: string, programs: readonly string[]): Promise<void> {
  const filling = `${directory}-${process.pid}`
  try {
    for (const program of programs) await warm(program, filling)
    await rename(filling, directory).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(directory)) throw error
    })
  } finally {
    await rm(filling, { recursive: true, force: true })
  }
}

async function warm(program: string, cache: string): Promise<void> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, '--warm'], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    stdio: ['ignore', 'ignore', 'ignore'],
    timeout: FILL_TIMEOUT_MS,
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}`)
}

/** What is cached of older sources is useless. What another process fills now is kept. */
async function removeOthers(caches: string, version: string): Promise<void> {
  const others = (await readdir(caches)).filter((name) => !name.startsWith(version) && !name.includes('-'))
  await Promise.all(others.map((name) => rm(join(caches, name), { recursive: true, force: true })))
}
