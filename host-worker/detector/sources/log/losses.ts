/** Says what was lost, or may be, when files were truncated, removed or compressed before they were read. Pure. */
import type { Notice } from '../source.ts'
import type { FollowedFile } from './followed-file.ts'
import { namesOf, type Scene } from './snapshot.ts'

/** When a log is looked at, and how that stands to the last time and to other logs. Times in milliseconds. */
export interface Look {
  now: number
  /** Null at the very first. */
  last: number | null
  /** How often it is looked. */
  interval: number
  /** Whether another log reads that file. */
  isOthers(key: string): boolean
  /** Whether a path is followed as a log of its own. */
  isLog(path: string): boolean
}

/** What became of a log's files since the last look. */
export interface Changes {
  /** Those that don't hold any more what was read of them: truncated if they are open, else gone. */
  broken: readonly FollowedFile[]
  /** Copies of some of these, at the position to which those were read. */
  saved: ReadonlyMap<FollowedFile, FollowedFile>
  /** Files that were this log, and were put aside; the oldest first. */
  between: readonly FollowedFile[]
  /** Paths of files that were this log, and can't be read because they were compressed. */
  compressed: readonly string[]
  /** The file that the path names, if it wasn't known. */
  current: FollowedFile | null
}

/**
 * What is to be told of changes.
 *
 * @param files those that were followed, the last one the log itself
 */
export function lossesOf(
  path: string,
  files: readonly FollowedFile[],
  changes: Changes,
  scene: Scene,
  look: Look,
): Notice[] {
  const last = files.at(-1)
  const broken = changes.broken
    // An older one that was read to its end, and was removed as they all are.
    .filter((file) => file === last || file.isOpen || file.unread > 0)
    .map((file) => ofBroken(file, file.isOpen ? file.path : path, changes, look))
  return [...broken, ...ofCompressed(path, files, changes, scene)]
}

function ofBroken(file: FollowedFile, path: string, { saved, between }: Changes, look: Look): Notice {
  const rest = saved.get(file)
  const event = file.isOpen ? 'log_truncated' : 'log_gone'
  if (rest !== undefined) return { event, level: 'info', file: path, rest: rest.path }
  const since = new Date(look.last ?? look.now).toISOString()
  // One of which nothing was read is found as a whole.
  if (file.unread > 0 && !(file.position === 0 && between.length > 0)) {
    const detail = `${event === 'log_gone' ? 'removed' : 'truncated'} before they were read; there may have been more`
    return { event: 'log_lines_lost', level: 'warn', file: path, bytes: file.unread, since, detail }
  }
  if (look.now - (look.last ?? look.now) < 2 * look.interval) return { event, level: 'info', file: path, since }
  const detail = `${event === 'log_gone' ? 'removed' : 'truncated'}: what was written since then may be lost`
  return { event: 'log_lines_lost', level: 'warn', file: path, since, detail }
}

/** Each file that was read may be one of those that were compressed; if there are more, one of them was not read. */
function ofCompressed(
  path: string,
  files: readonly FollowedFile[],
  { broken, saved, compressed }: Changes,
  scene: Scene,
): Notice[] {
  const names = new Set(namesOf(scene, path).map(({ key }) => key))
  const read = files.filter((file) => !names.has(file.key) || (broken.includes(file) && !saved.has(file)))
  if (compressed.length <= read.length) return []
  const detail = 'compressed before all of them were read'
  return [{ event: 'log_lines_lost', level: 'warn', file: path, files: compressed, detail }]
}
