/** One log: the file that a path names, and those that it named before, which may still be written to. */
import { dirname } from 'node:path'
import { z } from 'zod'
import { messageOf } from '../../../../shared/log.ts'
import type { Notices } from '../matching/notices.ts'
import { missingDetail } from './dangling-link.ts'
import { bornApart, type FileIdentity, isAbsent } from './file-identity.ts'
import { FollowedFile, fileState, type OnLine } from './followed-file.ts'
import { type Changes, lossesOf, type Poll } from './losses.ts'
import { resume } from './resume.ts'
import {
  byAge,
  type LogSnapshot,
  Moved,
  namesOf,
  refreshSnapshot,
  type Sibling,
  snapshotLogDirectory,
} from './snapshot.ts'

/** A log as plain JSON: its files, the oldest first, and which older generations lay beside it. */
export const logState = z.object({
  path: z.string(),
  files: z.array(fileState),
  beside: z.array(z.tuple([z.string(), z.string().regex(/^\d+$/)])),
})

/** A file that is no longer the log's own and did not change for this long will get no more; in milliseconds. */
const QUIET_AFTER_MS = 10_000
/** One that nothing in the directory names any more is kept open for this long, for a writer that still holds it. */
const NAMELESS_AFTER_MS = 60_000
/** Older generations that are watched for late lines. */
const MAX_OLDER_FILES = 8
/** How often a file that is renamed during a poll is polled again at once. */
const MAX_ATTEMPTS = 5

/** Follows a log through rotations and truncations. */
export class FollowedLog {
  readonly path: string
  readonly #notices: Notices
  /** The oldest first; the last one is the log itself while its path names it. */
  #files: FollowedFile[] = []
  #beside = new Map<string, bigint>()
  /** The file that the path named at the last poll, unless another log reads it. */
  #current: string | null = null
  /** The snapshot of the last poll. */
  #snapshot: LogSnapshot | null = null
  /** Number of polls since the path named something. */
  #missing = 0
  #unlistable = false

  constructor(path: string, notices: Notices, state?: z.output<typeof logState>) {
    this.path = path
    this.#notices = notices
    for (const file of state?.files ?? []) this.#files.push(FollowedFile.restore(file))
    for (const [key, born] of state?.beside ?? []) this.#beside.set(key, BigInt(born))
  }

  /** Whether it reads that file. */
  reads(key: string): boolean {
    return this.#files.some((file) => file.key === key)
  }

  /** Whether there is nothing that it could lose by being forgotten. */
  get isEmpty(): boolean {
    return this.#files.length === 0 && this.#beside.size === 0
  }

  /** Bytes that are there and have not been read. */
  get unread(): number {
    return this.#files.reduce((sum, { unread }) => sum + unread, 0)
  }

  state(): z.output<typeof logState> {
    return {
      path: this.path,
      files: this.#files.map((file) => file.state()),
      beside: [...this.#beside].map(([key, born]) => [key, String(born)]),
    }
  }

  /**
   * Begins to follow a log that was there before anyone followed it.
   *
   * @throws Moved, and what its files throw when they can't be opened
   */
  async begin(poll: Poll, from: 'beginning' | 'end'): Promise<void> {
    const snapshot = await this.#see()
    const { current } = snapshot
    this.#tellMissing(current)
    if (current !== null && !poll.isOthers(current.key)) {
      const file = await this.#open({ ...current, path: this.path })
      this.#files.push(file)
      this.#current = file.key
      if (from === 'end') await file.skipToEnd()
    }
    this.#remember(snapshot)
  }

  /**
   * Finds out what became of its files since the last poll, and which there are now. If it throws, the next call begins
   * where the last one did.
   *
   * @throws Moved, and what its files throw when they can't be opened
   */
  async find(poll: Poll): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#findOnce(poll)
        return
      } catch (error) {
        if (!(error instanceof Moved) || attempt === MAX_ATTEMPTS) throw error
      }
    }
  }

  /**
   * Reads lines, those of older files first, and lets go of files that are done with.
   *
   * @param most bytes, about
   * @returns how many bytes it took
   * @throws what its files throw when they can't be read
   */
  async read(poll: Poll, buffer: Buffer, most: number, onLine: OnLine): Promise<number> {
    let bytes = 0
    for (const file of this.#files) {
      if (!file.isOpen) continue
      const result = await file.read(buffer, most - bytes, onLine)
      bytes += result.bytes
      if (file.cut > 0) {
        this.#notices.add({ event: 'log_lines_cut', level: 'warn', file: file.path, lines: file.cut })
        file.cut = 0
      }
      if (!result.end) break
      file.note()
      if (this.#isDone(file, poll)) await file.finish(buffer, onLine)
    }
    await this.#letGo(poll)
    return bytes
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()))
  }

  async #findOnce(poll: Poll): Promise<void> {
    const unchanged = await this.#refreshSnapshot()
    if (unchanged !== null && (await this.#check(unchanged, poll)).length === 0) return
    const snapshot = await this.#see()
    const { current } = snapshot
    if (current !== null && !this.reads(current.key) && poll.isOthers(current.key)) snapshot.current = null
    this.#current = snapshot.current?.key ?? null
    this.#tellMissing(snapshot.current)
    const last = this.#files.at(-1)
    const same = last !== undefined && last.key === this.#current ? last : null
    const broken = await this.#check(snapshot, poll)
    // While the path names the same file, and that holds what was read of it, nothing can have been put aside.
    if (broken.length > 0 || same === null || same.position === 0) {
      const opened: FollowedFile[] = []
      try {
        const changes = await this.#changes(snapshot, poll, broken, same, opened)
        for (const notice of lossesOf(this.path, this.#files, changes, snapshot, poll)) this.#notices.add(notice)
        this.#arrange(changes, poll)
      } catch (error) {
        await Promise.all(opened.map((file) => file.close()))
        throw error
      }
    }
    this.#remember(snapshot)
  }

  /** Null unless nothing can have been put aside since the last poll. */
  async #refreshSnapshot(): Promise<LogSnapshot | null> {
    const last = this.#files.at(-1)
    if (this.#snapshot === null || !last?.isOpen || last.key !== this.#current) return null
    return refreshSnapshot(this.path, last.key, this.#snapshot, new Set(this.#files.map(({ key }) => key)))
  }

  async #see(): Promise<LogSnapshot> {
    const last = this.#files.at(-1)
    let unlistable: unknown = null
    const snapshot = await snapshotLogDirectory(this.path, last?.isOpen ? last.key : undefined, (error) => {
      unlistable = error
    })
    if (unlistable !== null && !this.#unlistable) {
      const detail = `rotated files are not found: ${messageOf(unlistable)}`
      this.#notices.add({ event: 'log_directory_unreadable', level: 'warn', file: dirname(this.path), detail })
    }
    this.#unlistable = unlistable !== null
    return snapshot
  }

  /** Finds each file under its present name. Returns those that don't hold any more what was read of them, or are gone. */
  async #check(snapshot: LogSnapshot, poll: Poll): Promise<FollowedFile[]> {
    const broken: FollowedFile[] = []
    for (const file of this.#files) {
      const named = namesOf(snapshot, this.path).find(
        ({ key, born }) => key === file.key && !bornApart(born, file.born),
      )
      if (named !== undefined) file.path = named.path
      if (!file.isOpen && named !== undefined && !file.differs(named)) continue
      const found = file.isOpen || (named !== undefined && (await this.#reopen(file, named.path)))
      if (!found || (await file.check(poll.now)) === 'truncated') broken.push(file)
    }
    return broken
  }

  /** @returns false for an older file that can't be opened any more: it is as good as gone */
  async #reopen(file: FollowedFile, path: string): Promise<boolean> {
    try {
      if (await file.reopen(path)) return true
    } catch (error) {
      if (!isAbsent(error)) {
        if (path === this.path) throw error
        return false
      }
    }
    throw new Moved(path)
  }

  /** @param opened gets all files that are opened */
  async #changes(
    snapshot: LogSnapshot,
    poll: Poll,
    broken: readonly FollowedFile[],
    same: FollowedFile | null,
    opened: FollowedFile[],
  ): Promise<Changes> {
    const read = new Set(this.#files.filter((file) => file.isOpen || !broken.includes(file)).map(({ key }) => key))
    const saved = new Map<FollowedFile, FollowedFile>()
    for (const file of broken) {
      const copy = await this.#copyOf(file, snapshot, read)
      if (copy === null) continue
      opened.push(copy)
      read.add(copy.key)
      saved.set(file, copy)
    }
    // A file that was not read at all may have been truncated too: that can't be detected.
    const emptied = same?.isOpen && (broken.includes(same) || same.position === 0) ? same : null
    const between: FollowedFile[] = []
    for (const sibling of await this.#between(snapshot, poll, emptied, read)) {
      const file = await this.#orNotice(sibling, this.#open(sibling))
      if (file === null) continue
      opened.push(file)
      between.push(file)
    }
    const since = this.#since(poll)
    const compressed = snapshot.siblings
      .filter((sibling) => sibling.compressed && sibling.changed >= since && !this.#knows(sibling))
      .map(({ path }) => path)
    const changes = { broken, saved, between, compressed, current: null }
    if (snapshot.current === null || read.has(snapshot.current.key)) return changes
    const current = await this.#open({ ...snapshot.current, path: this.path })
    opened.push(current)
    if (await resume(current, this.#files, poll.departed(this.path))) {
      this.#notices.add({ event: 'log_resumed', level: 'info', file: this.path, position: current.position })
    }
    return { ...changes, current }
  }

  /** A copy of a file, made before that was truncated or removed. */
  async #copyOf(file: FollowedFile, snapshot: LogSnapshot, read: ReadonlySet<string>): Promise<FollowedFile | null> {
    for (const sibling of snapshot.siblings) {
      if (sibling.compressed || read.has(sibling.key) || sibling.changed < file.changed) continue
      const other = await this.#orNotice(sibling, this.#open(sibling))
      if (other === null) continue
      if (await other.continues(file)) return other
      await other.close()
    }
    return null
  }

  /** Files that were this log, and were put aside, since the last poll; the oldest first. */
  async #between(
    snapshot: LogSnapshot,
    poll: Poll,
    emptied: FollowedFile | null,
    read: ReadonlySet<string>,
  ): Promise<Sibling[]> {
    const since = this.#since(poll)
    const found: Sibling[] = []
    for (const sibling of snapshot.siblings) {
      const { key, path, compressed, changed } = sibling
      if (compressed || changed < since || key === this.#current || read.has(key) || this.#knows(sibling)) continue
      if (poll.isOthers(key) || poll.isLog(path)) continue
      // Where logs are copied and truncated, the newest copy may only just be made, of what is still there.
      if (emptied !== null && (sibling.size === 0 || (await this.#isCopied(emptied, sibling)))) continue
      found.push(sibling)
    }
    return found.sort(byAge)
  }

  /** Whether a file holds what another one begins with. */
  async #isCopied(file: FollowedFile, sibling: Sibling): Promise<boolean> {
    const other = await this.#orNotice(sibling, this.#open(sibling))
    if (other === null) return true
    try {
      return await file.beginsWith(other)
    } finally {
      await other.close()
    }
  }

  /** Opens what was seen, and nothing else that has its name by now. */
  async #open({ path, key }: FileIdentity & { path: string }): Promise<FollowedFile> {
    let file: FollowedFile
    try {
      file = await FollowedFile.open(path)
    } catch (error) {
      throw isAbsent(error) ? new Moved(path) : error
    }
    if (file.key === key) return file
    await file.close()
    throw new Moved(path)
  }

  /** An older file that can't be read is a loss, and no reason not to read the others. */
  async #orNotice<Value>({ path }: Sibling, opened: Promise<Value>): Promise<Value | null> {
    try {
      return await opened
    } catch (error) {
      if (error instanceof Moved) throw error
      const detail = `may hold lines that were not read: ${messageOf(error)}`
      this.#notices.add({ event: 'log_lines_lost', level: 'warn', file: path, detail })
      return null
    }
  }

  /** Puts all that is to be read into its order. */
  #arrange({ broken, saved, between, current }: Changes, poll: Poll): void {
    const files: FollowedFile[] = []
    for (const file of this.#files) {
      const copy = saved.get(file)
      if (copy !== undefined) files.push(copy)
      // A file that is gone has nothing more; one that was truncated starts again.
      if (broken.includes(file) && !file.isOpen) {
        if (copy === undefined) poll.depart(this.path, file.state())
        continue
      }
      if (broken.includes(file)) file.restart()
      files.push(file)
    }
    files.splice(files.at(-1)?.key === this.#current ? -1 : files.length, 0, ...between)
    if (current !== null) files.push(current)
    this.#files = files
  }

  #isDone(file: FollowedFile, { now }: Poll): boolean {
    if (file.key === this.#current) return false
    return file.quietSince !== null && now - file.quietSince >= QUIET_AFTER_MS
  }

  /** Closes older files that are read to the end, and forgets those that can't reappear. */
  async #letGo(poll: Poll): Promise<void> {
    const kept: FollowedFile[] = []
    const older = this.#files.length - 1
    for (const [index, file] of this.#files.entries()) {
      const done = this.#isDone(file, poll) && file.unread === 0
      const nameless = file.links === 0 || !this.#isNamed(file)
      const over =
        nameless && poll.now - (file.quietSince ?? poll.now) >= (file.links === 0 ? QUIET_AFTER_MS : NAMELESS_AFTER_MS)
      if (done && (over || index < older - MAX_OLDER_FILES)) {
        await file.close()
        poll.depart(this.path, file.state())
        continue
      }
      if (done && !nameless) await file.close()
      kept.push(file)
    }
    this.#files = kept
  }

  #isNamed(file: FollowedFile): boolean {
    return file.key === this.#current || this.#beside.has(file.key)
  }

  #knows({ key, born }: FileIdentity): boolean {
    const known = this.#beside.get(key)
    return known !== undefined && !bornApart(known, born)
  }

  /** Nothing that changed before this, in nanoseconds, was written after the last poll. */
  #since(poll: Poll): bigint {
    // The time of a file is a little late: it is that of the kernel's last tick.
    return this.#files.at(-1)?.changed ?? BigInt((poll.last ?? 0) - 1000) * 1_000_000n
  }

  #remember(snapshot: LogSnapshot): void {
    this.#snapshot = snapshot
    this.#beside = new Map(snapshot.siblings.map(({ key, born }) => [key, born]))
  }

  #tellMissing(current: FileIdentity | null): void {
    this.#missing = current === null ? this.#missing + 1 : 0
    // While it is rotated it may be missing for a moment.
    if (this.#missing === (this.#files.length === 0 ? 1 : 2)) {
      this.#notices.add({ event: 'log_missing', level: 'warn', file: this.path, ...missingDetail(this.path) })
    }
  }
}
