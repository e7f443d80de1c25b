/** Frees room on a disk by a rule: old files that match, below directories that are allowed. */
import { statfs } from 'node:fs/promises'
import { RE2JS } from 're2js'
import type { FreeDiskRule } from '../../../../shared/config.ts'
import { messageOf } from '../../../../shared/log.ts'
import type { DiskRoom, FreeDiskReport } from '../../../../workflows/sdk/activities.ts'
import { DirectoryHandle } from './directory-handle.ts'

/** How it is done. */
export interface FreeDiskOptions {
  rule: FreeDiskRule
  /** Milliseconds since the epoch. */
  now: number
  /** Stops when this part of the file system is free, in percent; null: never. */
  untilFreePercent: number | null
  dryRun: boolean
  /** Ends it between two files. */
  signal: AbortSignal
}

/** A file that the rule covers. */
interface Candidate {
  path: string
  /** In bytes on the disk. */
  bytes: number
  modified: number
  device: number
  inode: number
}

/** Removed files that are named in the report. */
const MAX_SHOWN = 200
/** Characters of each: names are others' to choose, and the report has to fit into what Temporal takes. */
const MAX_SHOWN_LENGTH = 500
/** Files that are checked, and depth of directories that are entered. */
const MAX_WALK = { files: 1_000_000, depth: 64 }
/** Files between two checks of the free space. */
const CHECK_EVERY = 20

/**
 * Removes files, oldest first. Only regular files with one name, on the file system that the directory is on, are
 * removed; no symbolic link is followed, no directory removed.
 */
export async function freeDisk(options: FreeDiskOptions): Promise<FreeDiskReport> {
  const { rule, untilFreePercent, dryRun, signal } = options
  const [first = ''] = rule.paths
  const before = await roomOf(first)
  const errors: string[] = []
  const candidates = await candidatesOf(options, errors)
  const removed: Candidate[] = []
  for (const [index, candidate] of candidates.entries()) {
    signal.throwIfAborted()
    const isTimeToLook = untilFreePercent !== null && index % CHECK_EVERY === 0
    if (isTimeToLook && !dryRun && (await roomOf(first)).freePercent >= untilFreePercent) break
    if (dryRun && untilFreePercent !== null && isEnough(before, removed, untilFreePercent)) break
    const problem = dryRun ? null : await remove(candidate)
    if (problem === null) removed.push(candidate)
    else errors.push(problem)
  }
  return {
    before,
    after: await roomOf(first),
    files: removed.length,
    bytes: sumOf(removed),
    removed: removed.slice(0, MAX_SHOWN).map(({ path, bytes, modified }) => ({
      path: path.slice(0, MAX_SHOWN_LENGTH),
      bytes,
      modified: new Date(modified).toISOString(),
    })),
    errors: errors.slice(0, MAX_SHOWN).map((error) => error.slice(0, MAX_SHOWN_LENGTH)),
  }
}

/** All that the rule covers, oldest first; of each directory the newest `keep` are spared. */
async function candidatesOf({ rule, now, signal }: FreeDiskOptions, errors: string[]): Promise<Candidate[]> {
  const pattern = RE2JS.compile(rule.pattern)
  const found: Candidate[] = []
  let checked = 0

  async function walk(directory: DirectoryHandle, device: number, depth: number): Promise<void> {
    const here: Candidate[] = []
    for await (const entry of directory.list()) {
      signal.throwIfAborted()
      if (checked > MAX_WALK.files) break
      const path = `${directory.path}/${entry.name}`
      try {
        if (entry.isDirectory() && depth < MAX_WALK.depth) {
          const below = await directory.enter(entry.name)
          try {
            // Another file system begins here: what is there is not what fills this one.
            if ((await below.stat()).dev === device) await walk(below, device, depth + 1)
          } finally {
            await below.close()
          }
        }
        checked += 1
        if (checked > MAX_WALK.files || !entry.isFile() || !pattern.matcher(entry.name).matches()) continue
        const { size, blocks, mtimeMs, dev, ino, nlink } = await directory.stat(entry.name)
        // A file with another name would free nothing.
        if (size < rule.min_size || nlink !== 1) continue
        here.push({ path, bytes: blocks * 512, modified: mtimeMs, device: dev, inode: ino })
      } catch (error) {
        errors.push(`${path}: ${messageOf(error)}`)
      }
    }
    const oldest = here.sort(byAge)
    const sparing = oldest.slice(0, Math.max(oldest.length - rule.keep, 0))
    found.push(...sparing.filter(({ modified }) => now - modified >= rule.older_than))
  }

  for (const path of rule.paths) {
    try {
      const directory = await DirectoryHandle.open(path)
      try {
        await walk(directory, (await directory.stat()).dev, 0)
      } finally {
        await directory.close()
      }
    } catch (error) {
      signal.throwIfAborted()
      errors.push(`${path}: ${messageOf(error)}`)
    }
  }
  if (checked > MAX_WALK.files) errors.push(`only ${MAX_WALK.files} files were checked`)
  return found.sort(byAge)
}

/** Oldest first; of the same age, by name, so that a dry run says what will be done. */
function byAge(a: Candidate, b: Candidate): number {
  return a.modified - b.modified || (a.path < b.path ? -1 : 1)
}

/** Removes the very file that was checked. @returns why it could not be, or null */
async function remove({ path, device, inode, modified }: Candidate): Promise<string | null> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  try {
    const directory = await DirectoryHandle.open(path.slice(0, path.lastIndexOf('/')))
    try {
      const now = await directory.stat(name)
      const isSame = now.dev === device && now.ino === inode && now.mtimeMs === modified
      if (!isSame) return `${path}: has changed meanwhile`
      await directory.remove(name)
      return null
    } finally {
      await directory.close()
    }
  } catch (error) {
    return `${path}: ${messageOf(error)}`
  }
}

async function roomOf(path: string): Promise<DiskRoom> {
  const { bsize, blocks, bavail } = await statfs(path)
  const [total, free] = [blocks * bsize, bavail * bsize]
  return { path, total, free, freePercent: percent(free, total) }
}

function isEnough({ free, total }: DiskRoom, removed: readonly Candidate[], untilFreePercent: number): boolean {
  return percent(free + sumOf(removed), total) >= untilFreePercent
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10
}

function sumOf(files: readonly Candidate[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}
