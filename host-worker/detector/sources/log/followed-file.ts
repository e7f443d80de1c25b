/** One file, by whatever name, that is read line by line as it grows. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { z } from 'zod'
import { type FileIdentity, identityOf } from './file-identity.ts'

/** Gets each line, without its end. */
export type OnLine = (line: string, path: string) => void

/** Bytes before the position that are compared to detect a truncation. */
const REMEMBERED_BYTES = 4096
/** Bytes at the beginning that are compared to find a file again that was gone. */
const FIRST_BYTES = 256

/** The state of a file, as plain JSON. */
export const fileState = z
  .object({
    path: z.string(),
    key: z.string(),
    born: z.string().regex(/^\d+$/),
    changed: z.string().regex(/^\d+$/),
    position: z.int().min(0),
    before: z.object({ length: z.int().min(0), sha256: z.string() }),
    seen: z.int().min(0),
    skipping: z.boolean(),
    /** Absent in states of earlier versions. */
    first: z.object({ length: z.int().min(0), sha256: z.string() }).optional(),
  })
  .refine(({ position, before }) => before.length === Math.min(position, REMEMBERED_BYTES))

export type FileState = z.output<typeof fileState>

/** What happened to a file since the last poll: `truncated` when what had been read of it is gone. */
type FileCheck = 'same' | 'truncated'

/** In bytes. A longer line is cut: what makes such lines could fill the memory. */
const MAX_LINE_BYTES = 64 * 1024
/** Bytes read at a time; more than the longest line. */
const CHUNK_BYTES = 256 * 1024

/** The read buffer; used for one file after the other. */
export function readBuffer(): Buffer {
  return Buffer.allocUnsafe(REMEMBERED_BYTES + CHUNK_BYTES)
}

const NEWLINE = 10

/**
 * A file, its position (always the beginning of a line, or within one that is skipped) and the bytes before that. A
 * truncation may be followed by more bytes than before, so that the size doesn't show it: what was read last must
 * still be there.
 */
export class FollowedFile {
  readonly key: string
  readonly born: bigint
  /** The name by which it was last known. */
  path: string
  /** When its content had changed as of the last poll, in nanoseconds. */
  changed: bigint
  /** Its size as of the last poll. */
  seen = 0
  /** Number of its names as of the last check. */
  links = 1
  /** Since when it polls as it does, in milliseconds. */
  quietSince: number | null = null
  /** Lines that were cut since this was last set to 0. */
  cut = 0
  #handle: FileHandle | null = null
  #version = ''
  /** It was read to its end as of that version. */
  #ended = false
  #checked: bigint
  #position = 0
  #before: Buffer | { length: number; sha256: string } = Buffer.alloc(0)
  #skipping = false
  /** Of what has been read; null when that is not known. */
  #first: Buffer | { length: number; sha256: string } | null = Buffer.alloc(0)

  private constructor(path: string, key: string, born: bigint, changed: bigint) {
    this.path = path
    this.key = key
    this.born = born
    this.changed = changed
    this.#checked = changed
  }

  /**
   * Opens a file, to be read from its beginning.
   *
   * @throws Error when it is no regular file, and what `open` throws
   */
  static async open(path: string): Promise<FollowedFile> {
    const { handle, identity } = await openRegular(path)
    const file = new FollowedFile(path, identity.key, identity.born, identity.changed)
    file.#handle = handle
    return file
  }

  /** A file as it was when its state was taken. It is not open. */
  static restore(state: FileState): FollowedFile {
    const file = new FollowedFile(state.path, state.key, BigInt(state.born), BigInt(state.changed))
    file.#position = state.position
    file.#before = state.before
    file.seen = state.seen
    file.#skipping = state.skipping
    file.#first = state.first ?? null
    return file
  }

  get isOpen(): boolean {
    return this.#handle !== null
  }

  /** Bytes that have been read. */
  get position(): number {
    return this.#position
  }

  /** Bytes that exist and have not been read: they may include an incomplete line. */
  get unread(): number {
    return Math.max(0, this.seen - this.#position)
  }

  state(): FileState {
    return {
      path: this.path,
      key: this.key,
      born: String(this.born),
      changed: String(this.changed),
      position: this.#position,
      before: digestOf(this.#before),
      seen: this.seen,
      skipping: this.#skipping,
      ...(this.#first === null ? {} : { first: digestOf(this.#first) }),
    }
  }

  /** Whether it may have changed since it was checked, by what is found under its name. */
  differs(identity: FileIdentity): boolean {
    return identity.version !== this.#version
  }

  /**
   * Opens it again by a name that it has now.
   *
   * @returns false when that is another file
   * @throws as {@link open}
   */
  async reopen(path: string): Promise<boolean> {
    const { handle, identity } = await openRegular(path)
    if (identity.key !== this.key) {
      await handle.close()
      return false
    }
    this.path = path
    this.#version = ''
    this.#handle = handle
    return true
  }

  /** Whether what was read last still is there; an open file. Leaves `seen` and `changed` as they were. */
  async check(now: number): Promise<FileCheck> {
    const identity = identityOf(await this.#open.stat({ bigint: true }))
    this.links = identity.links
    this.#checked = identity.changed
    if (identity.version === this.#version) return 'same'
    this.quietSince = now
    const check = await this.#holds(identity.size)
    this.#ended = false
    // A truncated file is detected as such again until it starts again.
    if (check) this.#version = identity.version
    return check ? 'same' : 'truncated'
  }

  /** To be read from its beginning again. */
  restart(): void {
    this.#position = 0
    this.#before = Buffer.alloc(0)
    this.#first = Buffer.alloc(0)
    this.#skipping = false
    this.seen = 0
  }

  /** Goes to the end: to the beginning of a last line that is still being written. An open file. */
  async skipToEnd(): Promise<void> {
    const { size, changed } = identityOf(await this.#open.stat({ bigint: true }))
    const bytes = Buffer.allocUnsafe(Math.min(size, MAX_LINE_BYTES))
    const read = bytes.subarray(0, await readFully(this.#open, bytes, size - bytes.length))
    const line = read.lastIndexOf(NEWLINE) + 1
    this.#skipping = line === 0 && read.length < size
    const end = this.#skipping ? read.length : line
    this.#position = size - bytes.length + end
    this.#before = Buffer.from(read.subarray(Math.max(0, end - REMEMBERED_BYTES), end))
    this.seen = size
    this.changed = changed
    const first = Buffer.allocUnsafe(Math.min(this.#position, FIRST_BYTES))
    this.#first = first.subarray(0, await readFully(this.#open, first, 0))
  }

  /**
   * Goes to where another file was read to, if this one holds the same before that: it is a copy, made before the other
   * one was truncated. An open file.
   *
   * @returns false when it is no copy
   */
  async continues(other: FollowedFile): Promise<boolean> {
    const { length } = other.#before
    const bytes = Buffer.allocUnsafe(length)
    const read = await readFully(this.#open, bytes, other.#position - length)
    if (length === 0 || read < length || !other.#isBefore(bytes)) return false
    this.#position = other.#position
    this.#before = bytes
    this.#skipping = other.#skipping
    this.#first = other.#first
    this.seen = other.#position
    return true
  }

  /**
   * Goes to where another file was read to, which is gone, if this one is that file, or a copy of it that took its place:
   * it begins as the other did, and holds the same before the position. An open file.
   *
   * @returns false when it is neither
   */
  async resumes(other: FollowedFile): Promise<boolean> {
    const first = other.#first
    if (first !== null && first.length > 0) {
      const bytes = Buffer.allocUnsafe(first.length)
      const read = await readFully(this.#open, bytes, 0)
      if (read < first.length || digestOf(bytes).sha256 !== digestOf(first).sha256) return false
    } else if (other.key !== this.key) return false
    return this.continues(other)
  }

  /** Whether this file, from its beginning on, holds all of another one: a copy of it is being made. Open files. */
  async beginsWith(other: FollowedFile): Promise<boolean> {
    const { size } = await other.#open.stat()
    const [theirs, ours] = [
      Buffer.alloc(Math.min(size, REMEMBERED_BYTES)),
      Buffer.alloc(Math.min(size, REMEMBERED_BYTES)),
    ]
    await readFully(other.#open, theirs, size - theirs.length)
    const read = await readFully(this.#open, ours, size - ours.length)
    return read === ours.length && ours.equals(theirs)
  }

  /**
   * Reads lines. An open file.
   *
   * @param buffer from {@link readBuffer}
   * @param most bytes, about
   * @returns how many bytes it took, and whether there is nothing more now
   */
  async read(buffer: Buffer, most: number, onLine: OnLine): Promise<{ bytes: number; end: boolean }> {
    if (this.#ended) return { bytes: 0, end: true }
    let bytes = 0
    while (bytes < most) {
      const data = await this.#next(buffer)
      if (data === null) {
        // Truncated a moment ago, as the next check will say.
        this.#version = ''
        return { bytes, end: false }
      }
      this.seen = Math.max(this.seen, this.#position + data.length)
      const taken = this.#takeLines(data, onLine)
      this.#advance(buffer, taken)
      bytes += taken
      if (data.length < CHUNK_BYTES) {
        this.#ended = true
        return { bytes, end: true }
      }
    }
    const { size } = await this.#open.stat()
    this.seen = Math.max(this.seen, size)
    return { bytes, end: false }
  }

  /** Takes a last line that has no end for whole, because nothing more will come. An open file that has been read to its end. */
  async finish(buffer: Buffer, onLine: OnLine): Promise<void> {
    const data = await this.#next(buffer)
    // One that has ended meanwhile is read as any other.
    if (data === null || data.length === 0 || data.includes(NEWLINE)) {
      if (data !== null && data.length > 0) this.#version = ''
      return
    }
    if (!this.#skipping) this.#emit(data.toString('utf8'), onLine)
    this.#skipping = false
    this.#advance(buffer, data.length)
  }

  /** Ends a poll: what the last check found is what the next poll begins with. */
  note(): void {
    this.changed = this.#checked
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await handle?.close()
  }

  get #open(): FileHandle {
    if (this.#handle === null) throw new Error(`${this.path} is not open`)
    return this.#handle
  }

  /**
   * What comes next, after what was read last, which stands before it in the buffer. Both are read at once, so that no
   * truncation can come in between. Null when what was read last isn't there.
   */
  async #next(buffer: Buffer): Promise<Buffer | null> {
    const { length } = this.#before
    const read = await readFully(this.#open, buffer.subarray(0, length + CHUNK_BYTES), this.#position - length)
    if (read < length || !this.#isBefore(buffer.subarray(0, length))) return null
    return buffer.subarray(length, read)
  }

  /** @returns how many bytes it took: whole lines, or the beginning of one that is too long */
  #takeLines(data: Buffer, onLine: OnLine): number {
    let begin = 0
    if (this.#skipping) {
      begin = data.indexOf(NEWLINE) + 1
      if (begin === 0) return data.length
      this.#skipping = false
    }
    // A writer that does not append goes on where it was when its file is truncated: what is before that is a hole.
    while (data[begin] === 0) begin += 1
    const end = data.lastIndexOf(NEWLINE) + 1
    if (end > begin) {
      const text = data.toString('utf8', begin, end - 1)
      for (const line of text.split('\n')) this.#emit(line, onLine)
      begin = end
    }
    if (data.length - begin <= MAX_LINE_BYTES) return begin
    this.#emit(data.toString('utf8', begin, begin + MAX_LINE_BYTES + 1), onLine)
    this.#skipping = true
    return data.length
  }

  async #holds(size: number): Promise<boolean> {
    // Nothing to compare: it is read from the beginning in any case.
    if (this.#position === 0) return size >= this.seen
    const { length } = this.#before
    const bytes = Buffer.allocUnsafe(length)
    const read = await readFully(this.#open, bytes, this.#position - length)
    return read === length && this.#isBefore(bytes)
  }

  #emit(line: string, onLine: OnLine): void {
    const whole = line.endsWith('\r') ? line.slice(0, -1) : line
    if (whole.length > MAX_LINE_BYTES) this.cut += 1
    onLine(whole.slice(0, MAX_LINE_BYTES), this.path)
  }

  #advance(buffer: Buffer, bytes: number): void {
    if (bytes === 0) return
    const end = this.#before.length + bytes
    if (Buffer.isBuffer(this.#first) && this.#first.length < FIRST_BYTES && this.#first.length === this.#position) {
      const taken = buffer.subarray(this.#before.length, end)
      this.#first = Buffer.from(Buffer.concat([this.#first, taken]).subarray(0, FIRST_BYTES))
    }
    this.#before = Buffer.from(buffer.subarray(Math.max(0, end - REMEMBERED_BYTES), end))
    this.#position += bytes
  }

  #isBefore(bytes: Buffer): boolean {
    const before = this.#before
    return Buffer.isBuffer(before) ? before.equals(bytes) : before.sha256 === digestOf(bytes).sha256
  }
}

function digestOf(before: Buffer | { length: number; sha256: string }): { length: number; sha256: string } {
  if (!Buffer.isBuffer(before)) return before
  return { length: before.length, sha256: createHash('sha256').update(before).digest('hex') }
}

async function openRegular(path: string): Promise<{ handle: FileHandle; identity: FileIdentity }> {
  // A FIFO must not block.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const identity = identityOf(await handle.stat({ bigint: true }))
    if (!identity.regular) throw new Error(`${path} is not a regular file`)
    return { handle, identity }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Fills a buffer from a position on, as far as the file goes; returns how many bytes that are. */
async function readFully(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}
