/** A log's path and directory at one moment. */
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
export interface LogSnapshot {
  current: FileIdentity | null
  siblings: Sibling[]
  /** The directory's version from before it was read; null when it may not be read, or may have changed meanwhile. */
  directory: string | null
}

/** Files were renamed during the snapshot: it isn't of one moment. */
export class Moved extends Error {}

/** How often a directory that changes while it is read is read again. */
const MAX_ATTEMPTS = 5

/** A change of a directory this long before it was read, in milliseconds, may not be the last one that had that time. */
const TIMESTAMP_GRANULARITY_MS = 100

/**
 * Takes a snapshot of one moment: nothing was rotated between its first and its last read.
 *
 * @param held the file that the path named, if that is open: no other can then have its identity
 * @param onUnlistable called when the directory may not be listed; the siblings are then unknown
 * @throws Moved when there is no such moment, and what `stat` throws for the path
 */
export async function snapshotLogDirectory(
  path: string,
  held: string | undefined,
  onUnlistable: (error: unknown) => void,
): Promise<LogSnapshot> {
  let snapshot = await see(path, onUnlistable)
  if (held !== undefined && snapshot.current?.key === held && (await identityAt(path))?.key === held) return snapshot
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const again = await see(path, onUnlistable)
    if (isSame(snapshot, again)) return again
    snapshot = again
  }
  throw new Moved(`${path} is rotated again and again`)
}

/**
 * Takes the snapshot again, if its directory is unchanged and the path names the same file: usually that is so, and costs
 * little.
 *
 * @param watched files among the siblings that may have changed
 * @returns null when it isn't so
 */
export async function refreshSnapshot(
  path: string,
  held: string,
  before: LogSnapshot,
  watched: ReadonlySet<string>,
): Promise<LogSnapshot | null> {
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

/** All files of a snapshot, by all their names. */
export function namesOf({ current, siblings }: LogSnapshot, path: string): (FileIdentity & { path: string })[] {
  return current === null ? siblings : [{ ...current, path }, ...siblings]
}

/** Orders siblings, the oldest first, by when they were made: a writer may have held an old one for longer than the next. */
export function byAge(a: Sibling, b: Sibling): number {
  if (bornApart(a.born, b.born)) return a.born < b.born ? -1 : 1
  const byName = byGeneration(basename(a.path), basename(b.path))
  if (byName !== 0) return byName
  return a.changed < b.changed ? -1 : 1
}

async function see(path: string, onUnlistable: (error: unknown) => void): Promise<LogSnapshot> {
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

/** Differs after a file in a directory was made, renamed or removed; null when that is unknown. */
async function versionOf(directory: string): Promise<string | null> {
  const identity = await identityAt(directory).catch(() => null)
  if (identity === null || identity.changed > BigInt(Date.now() - TIMESTAMP_GRANULARITY_MS) * 1_000_000n) return null
  return `${identity.key}:${identity.changed}`
}

function isSame(a: LogSnapshot, b: LogSnapshot): boolean {
  return (
    a.current?.key === b.current?.key &&
    a.siblings.length === b.siblings.length &&
    a.siblings.every(({ key, path }, index) => key === b.siblings[index]?.key && path === b.siblings[index]?.path)
  )
}
