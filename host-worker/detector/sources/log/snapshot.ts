/** What a log's path and its directory hold at one moment. */
import { basename, dirname, join } from 'node:path'
import { bornApart, type FileIdentity, identityAt } from './file-identity.ts'
import { namesIn } from './path-pattern.ts'
import { byGeneration, isCompressed, rotatedNames } from './rotation-names.ts'

/** A file in the log's directory that was, by its name, this log once. */
export interface Sibling extends FileIdentity {
  path: string
  compressed: boolean
}

/** The file that the path names, and those beside it. */
export interface Scene {
  current: FileIdentity | null
  siblings: Sibling[]
  /** The directory's version from before it was read; null when it may not be read, or may have changed meanwhile. */
  directory: string | null
}

/** Files were renamed while they were looked at: what was seen of them isn't of one moment. */
export class Moved extends Error {}

/** How often a directory that changes while it is read is read again. */
const MAX_ATTEMPTS = 5

/** A change of a directory this long before it was read, in milliseconds, may not be the last one that had that time. */
const TIMESTAMP_GRANULARITY_MS = 100

/**
 * Sees all as of one moment: nothing was rotated between the first and the last that it looks at.
 *
 * @param held the file that the path named, if that is open: no other can then be taken for it
 * @param onUnlistable told when the directory may not be listed; the siblings are then not known
 * @throws Moved when there is no such moment, and what `stat` throws for the path
 */
export async function seeScene(
  path: string,
  held: string | undefined,
  onUnlistable: (error: unknown) => void,
): Promise<Scene> {
  let scene = await see(path, onUnlistable)
  if (held !== undefined && scene.current?.key === held && (await identityAt(path))?.key === held) return scene
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const again = await see(path, onUnlistable)
    if (isSame(scene, again)) return again
    scene = again
  }
  throw new Moved(`${path} is rotated again and again`)
}

/**
 * Sees it again, if its directory is as it was and the path names the same file: most of the time that is so, and costs
 * little.
 *
 * @param watched files among the siblings that may have changed
 * @returns null when it isn't so
 */
export async function seeAgain(
  path: string,
  held: string,
  before: Scene,
  watched: ReadonlySet<string>,
): Promise<Scene | null> {
  if (before.directory === null) return null
  const current = await identityAt(path)
  if (current?.key !== held || (await versionOf(dirname(path))) !== before.directory) return null
  const siblings = await Promise.all(
    before.siblings.map(async (sibling) => {
      if (!watched.has(sibling.key)) return sibling
      const now = await identityAt(sibling.path).catch(() => null)
      return now?.key === sibling.key ? { ...sibling, ...now } : sibling
    }),
  )
  return { current, siblings, directory: before.directory }
}

/** All files of a scene, by all their names. */
export function namesOf({ current, siblings }: Scene, path: string): (FileIdentity & { path: string })[] {
  return current === null ? siblings : [{ ...current, path }, ...siblings]
}

/** Orders siblings, the oldest first, by when they were made: a writer may have held an old one for longer than the next. */
export function byAge(a: Sibling, b: Sibling): number {
  if (bornApart(a.born, b.born)) return a.born < b.born ? -1 : 1
  const byName = byGeneration(basename(a.path), basename(b.path))
  if (byName !== 0) return byName
  return a.changed < b.changed ? -1 : 1
}

async function see(path: string, onUnlistable: (error: unknown) => void): Promise<Scene> {
  let directory = await versionOf(dirname(path))
  const current = await identityAt(path)
  if (current !== null && !current.regular) throw new Error(`${path} is not a regular file`)
  const names = await namesIn(dirname(path)).catch((error: unknown) => {
    onUnlistable(error)
    directory = null
    return []
  })
  const siblings: Sibling[] = []
  for (const name of names.filter(rotatedNames(basename(path)))) {
    const sibling = join(dirname(path), name)
    // One that may not be asked for what it is can't be read either.
    const identity = await identityAt(sibling).catch(() => null)
    if (identity?.regular) siblings.push({ ...identity, path: sibling, compressed: isCompressed(name) })
  }
  return { current, siblings, directory }
}

/** Another one after a file in a directory was made, renamed or removed; null when that can't be told. */
async function versionOf(directory: string): Promise<string | null> {
  const identity = await identityAt(directory).catch(() => null)
  if (identity === null || identity.changed > BigInt(Date.now() - TIMESTAMP_GRANULARITY_MS) * 1_000_000n) return null
  return `${identity.key}:${identity.changed}`
}

function isSame(a: Scene, b: Scene): boolean {
  return (
    a.current?.key === b.current?.key &&
    a.siblings.length === b.siblings.length &&
    a.siblings.every(({ key, path }, index) => key === b.siblings[index]?.key && path === b.siblings[index]?.path)
  )
}
