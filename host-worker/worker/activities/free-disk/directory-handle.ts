/** Work below a directory that can't be redirected: each step is relative to a directory that is held open. */
import { constants, type Dirent, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir, realpath, unlink } from 'node:fs/promises'
import { join } from 'node:path'

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * A directory that is held open. What is below it is named by way of Linux's `/proc/self/fd`, so that a directory which
 * is replaced by a symbolic link between a check and a removal, is still the one that was checked.
 *
 * @see proc_pid_fd(5)
 */
export class DirectoryHandle {
  readonly path: string
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  /** @throws Error when it is no directory, or its path leads over a symbolic link */
  static async open(path: string): Promise<DirectoryHandle> {
    const real = await realpath(path)
    if (real !== path) throw new Error(`${path} leads to ${real}`)
    const file = await open(path, DIRECTORY)
    const handle = new DirectoryHandle(path, file)
    // Opened by name: it may be another one meanwhile.
    if ((await realpath(handle.#below('.'))) === path) return handle
    await file.close()
    throw new Error(`${path} is another directory now`)
  }

  /** A directory in this one. */
  async enter(name: string): Promise<DirectoryHandle> {
    return new DirectoryHandle(join(this.path, name), await open(this.#below(name), DIRECTORY))
  }

  /** Its entries, one after the other: there may be millions. */
  async *list(): AsyncGenerator<Dirent> {
    yield* await opendir(this.#below('.'), { bufferSize: 256 })
  }

  /** The type of an entry; a symbolic link is one. */
  stat(name = '.'): Promise<Stats> {
    return name === '.' ? this.#file.stat() : lstat(this.#below(name))
  }

  /** Opens a file in it; @param flags as those of open(2) */
  openFile(name: string, flags: number): Promise<FileHandle> {
    return open(this.#below(name), flags)
  }

  remove(name: string): Promise<void> {
    return unlink(this.#below(name))
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #below(name: string): string {
    return `/proc/self/fd/${this.#file.fd}/${name}`
  }
}
