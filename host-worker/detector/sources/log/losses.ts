/** Says what was lost, or may be, when files were truncated, removed or compressed before they were read. Pure. */
import type { Notice } from '../source.ts'
import type { FileState, FollowedFile } from './followed-file.ts'
import { type LogSnapshot, namesOf } from './snapshot.ts'

/** The time of a poll, and its relation to the last one and to other logs. Times in milliseconds. */
export interface Poll {
  now: number
  /** Null at the very first. */
  last: number | null
  /** The poll interval. */
  interval: number
  /** Where files of a log were read to that are gone, the newest first. */
  departed(path: string): FileState[]
  /** Keeps where a file was read to that is gone: it may come back. */
  depart(path: string, file: FileState): void
  /** Whether another log reads that file. */
  isOthers(key: string): boolean
  /** Whether a path is followed as a separate log. */
  isLog(path: string): boolean
}

/** Changes of a log's files since the last poll. */
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
 * The notices about changes.
 *
 * @param files those that were followed, the last one the log itself
 */
export function lossesOf(
  path: string,
  files: readonly FollowedFile[],
  changes: Changes,
  snapshot: LogSnapshot,
  poll: Poll,
): Notice[] {
  const last = files.at(-1)
  const broken = changes.broken
    // An older one that was read to its end, and was removed as they all are.
    .filter((file) => file === last || file.isOpen || file.unread > 0)
    .map((file) => ofBroken(file, file.isOpen ? file.path : path, changes, poll))
  return [...broken, ...ofCompressed(path, files, changes, snapshot)]
}

function ofBroken(file: FollowedFile, path: string, { saved, between }: Changes, poll: Poll): Notice {
  const rest = saved.get(file)
  const event = file.isOpen ? 'log_truncated' : 'log_gone'
  if (rest !== undefined) return { event, level: 'info', file: path, rest: rest.path }
  const since = new Date(poll.last ?? poll.now).toISOString()
  // A file that was not read at all is lost as a whole.
  if (file.unread > 0 && !(file.position === 0 && between.length > 0)) {
    const detail = `${event === 'log_gone' ? 'removed' : 'truncated'} before they were read; there may have been more`
    return { event: 'log_lines_lost', level: 'warn', file: path, bytes: file.unread, since, detail }
  }
  if (poll.now - (poll.last ?? poll.now) < 2 * poll.interval) return { event, level: 'info', file: path, since }
  const detail = `${event === 'log_gone' ? 'removed' : 'truncated'}: what was written since then may be lost`
  return { event: 'log_lines_lost', level: 'warn', file: path, since, detail }
}

/** Each file that was read may be one of those that were compressed; if there are more, one of them was not read. */
function ofCompressed(
  path: string,
  files: readonly FollowedFile[],
  { broken, saved, compressed }: Changes,
  snapshot: LogSnapshot,
): Notice[] {
  const names = new Set(namesOf(snapshot, path).map(({ key }) => key))
  const read = files.filter((file) => !names.has(file.key) || (broken.includes(file) && !saved.has(file)))
  if (compressed.length <= read.length) return []
  const detail = 'compressed before all of them were read'
  return [{ event: 'log_lines_lost', level: 'warn', file: path, files: compressed, detail }]
}
