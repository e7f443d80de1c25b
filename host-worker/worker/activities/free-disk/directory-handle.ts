/** Work below a directory that can't be redirected: each step is relative to a directory that is held open. */
import { constants, type Dirent, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir, readFile, realpath, unlink } from 'node:fs/promises'

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** A name or a path as the file system has it: bytes, which need not be UTF-8. */
export type RawName = Buffer

/**
 * A directory that is held open. What is below it is named by way of Linux's `/proc/self/fd`, so that a directory which
 * is replaced by a symbolic link between a check and a removal, is still the one that was checked.
 *
 * @see proc_pid_fd(5)
 */
export class DirectoryHandle {
  readonly path: RawName
  readonly #file: FileHandle

  private constructor(path: RawName, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  /** @throws Error when it is no directory, or its path leads over a symbolic link */
  static async open(path: string | RawName): Promise<DirectoryHandle> {
    const raw = Buffer.from(path)
    const real = await realpath(raw, 'buffer')
    if (!real.equals(raw)) throw new Error(`${printed(raw)} leads to ${printed(real)}`)
    const file = await open(raw, DIRECTORY)
    const handle = new DirectoryHandle(raw, file)
    // Opened by name: it may be another one meanwhile.
    if ((await realpath(handle.#below(HERE), 'buffer')).equals(raw)) return handle
    await file.close()
    throw new Error(`${printed(raw)} is another directory now`)
  }

  /** A directory in this one. */
  async enter(name: RawName): Promise<DirectoryHandle> {
    return new DirectoryHandle(joined(this.path, name), await open(this.#below(name), DIRECTORY))
  }

  /** Its entries, one after the other: there may be millions. */
  async *list(): AsyncGenerator<Dirent<Buffer>> {
    // What the types lack: opendir takes this encoding as readdir does.
    const options = { bufferSize: 256, encoding: 'buffer' as BufferEncoding }
    yield* (await opendir(this.#below(HERE), options)) as unknown as AsyncIterable<Dirent<Buffer>>
  }

  /**
   * The mount that it is on. Another one below means that something is mounted there, be it a part of the same file system.
   *
   * @see proc_pid_fdinfo(5)
   */
  async mount(): Promise<string> {
    const info = await readFile(`/proc/self/fdinfo/${this.#file.fd}`, 'latin1')
    const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
    if (id === undefined) throw new Error(`the kernel does not say what ${printed(this.path)} is mounted on`)
    return id
  }

  /** Its own type. */
  stat(): Promise<Stats> {
    return this.#file.stat()
  }

  /** The type of an entry; a symbolic link is one. */
  statEntry(name: RawName): Promise<Stats> {
    return lstat(this.#below(name))
  }

  /** Opens a file in it; @param flags as those of open(2) */
  openFile(name: string, flags: number): Promise<FileHandle> {
    return open(this.#below(Buffer.from(name)), flags)
  }

  remove(name: RawName): Promise<void> {
    return unlink(this.#below(name))
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #below(name: RawName): RawName {
    return joined(Buffer.from(`/proc/self/fd/${this.#file.fd}`), name)
  }
}

const HERE = Buffer.from('.')

function joined(path: RawName, name: RawName): RawName {
  return Buffer.concat([path, Buffer.from('/'), name])
}

/** A name for people: bytes that are not UTF-8 as `\xNN`. */
export function printed(name: RawName): string {
  const text = name.toString('utf8')
  if (Buffer.from(text).equals(name)) return text
  return name.toString('latin1').replaceAll(/[^\x20-\x7e]/g, (byte) => {
    const code = byte.charCodeAt(0).toString(16)
    return `\\x${code.padStart(2, '0')}`
  })
}
