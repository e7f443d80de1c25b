/** Frees room on disks by a rule: old files that match, below directories that are allowed. */
import { statfs } from 'node:fs/promises'
import { ApplicationFailure } from '@temporalio/common'
import { RE2JS } from 're2js'
import type { FreeDiskRule } from '../../../../shared/config.ts'
import { messageOf } from '../../../../shared/log.ts'
import type { DiskRoom, FreeDiskReport } from '../../../../workflows/sdk/activities.ts'
import { DirectoryHandle, printed, type RawName } from './directory-handle.ts'

/** How it is done. */
export interface FreeDiskOptions {
  rule: FreeDiskRule
  /** Milliseconds since the epoch. */
  now: number
  /** Stops on each file system when this part of it is free, in percent; null: never. */
  untilFreePercent: number | null
  dryRun: boolean
  /** Ends it between two files. */
  signal: AbortSignal
}

/** A file that the rule covers. */
interface Candidate {
  directory: RawName
  name: RawName
  /** In bytes on the disk. */
  bytes: number
  modified: number
  device: number
  mount: string
  inode: number
}

/** A file system that paths of the rule are on. */
interface FileSystem {
  before: DiskRoom
  removedBytes: number
}

/** Removed files that are named in the report. */
const MAX_SHOWN = 200
/** Characters of each: names are others' to choose, and the report has to fit into what Temporal takes. */
const MAX_SHOWN_LENGTH = 500
/** Files that are checked, and depth of directories that are entered. */
const MAX_WALK = { files: 1_000_000, depth: 64 }

/**
 * Removes files, oldest first. Only regular files with one name, on the mount that the directory is on, are removed; no
 * symbolic link is followed, no directory removed. Each file system is measured apart: what is removed from one does not
 * help another.
 *
 * @throws ApplicationFailure `PathsNotFound`, not retried, when none of the rule's paths can be read
 */
export async function freeDisk(options: FreeDiskOptions): Promise<FreeDiskReport> {
  const { rule, untilFreePercent, dryRun, signal } = options
  const errors: string[] = []
  const fileSystems = new Map<number, FileSystem>()
  const candidates = await candidatesOf(options, errors, fileSystems)
  if (fileSystems.size === 0) {
    throw ApplicationFailure.nonRetryable(`none of ${rule.paths.join(', ')} can be read: ${errors[0]}`, 'PathsNotFound')
  }
  const removed: Candidate[] = []
  for (const candidate of candidates) {
    signal.throwIfAborted()
    const disk = fileSystems.get(candidate.device)
    if (disk === undefined) continue
    // Asked before each file: one may be as large as all others.
    if (untilFreePercent !== null && (await isEnough(disk, untilFreePercent, dryRun))) continue
    const problem = dryRun ? null : await remove(candidate)
    if (problem === null) {
      removed.push(candidate)
      disk.removedBytes += candidate.bytes
    } else errors.push(problem)
  }
  const disks = await Promise.all(
    [...fileSystems.values()].map(async ({ before }) => ({ before, after: await roomOf(before.path) })),
  )
  const [first] = disks
  if (first === undefined) throw new Error('no file system was measured')
  return {
    ...first,
    fileSystems: disks,
    files: removed.length,
    bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
    removed: removed.slice(0, MAX_SHOWN).map((file) => ({
      path: pathOf(file).slice(0, MAX_SHOWN_LENGTH),
      bytes: file.bytes,
      modified: new Date(file.modified).toISOString(),
    })),
    errors: errors.slice(0, MAX_SHOWN).map((error) => error.slice(0, MAX_SHOWN_LENGTH)),
  }
}

/**
 * All that the rule covers, oldest first; of each directory the newest `keep` are spared.
 *
 * @param fileSystems takes those of the paths that can be read, by device
 */
async function candidatesOf(
  { rule, now, signal }: FreeDiskOptions,
  errors: string[],
  fileSystems: Map<number, FileSystem>,
): Promise<Candidate[]> {
  const pattern = RE2JS.compile(rule.pattern)
  const found: Candidate[] = []
  let checked = 0

  async function walk(directory: DirectoryHandle, mount: string, depth: number): Promise<void> {
    const here: Candidate[] = []
    for await (const entry of directory.list()) {
      signal.throwIfAborted()
      if (checked > MAX_WALK.files) break
      const { name } = entry
      try {
        if (entry.isDirectory() && depth < MAX_WALK.depth) {
          const below = await directory.enter(name)
          try {
            // Something is mounted here: what is there is not what fills this disk, or is not meant.
            if ((await below.mount()) === mount) await walk(below, mount, depth + 1)
          } finally {
            await below.close()
          }
        }
        checked += 1
        if (checked > MAX_WALK.files || !entry.isFile() || !pattern.matcher(name.toString('utf8')).matches()) continue
        const { size, blocks, mtimeMs, dev, ino, nlink } = await directory.statEntry(name)
        // A file with another name would free nothing.
        if (size < rule.min_size || nlink !== 1) continue
        const place = { directory: directory.path, name, mount, device: dev, inode: ino }
        here.push({ ...place, bytes: blocks * 512, modified: mtimeMs })
      } catch (error) {
        errors.push(`${pathOf({ directory: directory.path, name })}: ${messageOf(error)}`)
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
        const { dev } = await directory.stat()
        if (!fileSystems.has(dev)) fileSystems.set(dev, { before: await roomOf(path), removedBytes: 0 })
        await walk(directory, await directory.mount(), 0)
      } finally {
        await directory.close()
      }
    } catch (error) {
      signal.throwIfAborted()
      errors.push(`${path}: ${messageOf(error)}`)
    }
  }
  if (checked > MAX_WALK.files) errors.push(`only ${MAX_WALK.files} files were checked`)
  // Paths of a rule may lie within each other.
  const unique = new Map(found.map((candidate) => [`${candidate.device} ${candidate.inode}`, candidate]))
  return [...unique.values()].sort(byAge)
}

/** Oldest first; of the same age, by name, so that a dry run says what will be done. */
function byAge(a: Candidate, b: Candidate): number {
  return a.modified - b.modified || Buffer.compare(a.directory, b.directory) || Buffer.compare(a.name, b.name)
}

/** Removes the very file that was checked. @returns why it could not be, or null */
async function remove(candidate: Candidate): Promise<string | null> {
  const { device, inode, modified, mount, name } = candidate
  try {
    const directory = await DirectoryHandle.open(candidate.directory)
    try {
      const now = await directory.statEntry(name)
      const isSame = now.dev === device && now.ino === inode && now.mtimeMs === modified
      if (!isSame || (await directory.mount()) !== mount) return `${pathOf(candidate)}: has changed meanwhile`
      await directory.remove(name)
      return null
    } finally {
      await directory.close()
    }
  } catch (error) {
    return `${pathOf(candidate)}: ${messageOf(error)}`
  }
}

function pathOf({ directory, name }: Pick<Candidate, 'directory' | 'name'>): string {
  return `${printed(directory)}/${printed(name)}`
}

async function roomOf(path: string): Promise<DiskRoom> {
  const { bsize, blocks, bavail } = await statfs(path)
  const [total, free] = [blocks * bsize, bavail * bsize]
  return { path, total, free, freePercent: total === 0 ? 0 : Math.round((free / total) * 1000) / 10 }
}

/** Whether a file system has enough room now; in a dry run, whether it would have. */
async function isEnough({ before, removedBytes }: FileSystem, percent: number, dryRun: boolean): Promise<boolean> {
  const { free, total } = dryRun ? { ...before, free: before.free + removedBytes } : await roomOf(before.path)
  return free * 100 >= percent * total
}
