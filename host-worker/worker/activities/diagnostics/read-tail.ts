import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { DirectoryHandle } from '../free-disk/directory-handle.ts'

/**
 * The end of a regular file, from the beginning of a line on.
 *
 * @param most bytes
 * @throws Error when it is no regular file, a symbolic link is on the way to it, or it can't be read
 */
export async function readTail(path: string, most: number): Promise<{ text: string; cut: boolean }> {
  const file = await openFile(path)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new Error('not a regular file')
    const begin = Math.max(stat.size - most, 0)
    const buffer = Buffer.alloc(Math.min(stat.size, most))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, begin)
    const text = buffer.subarray(0, bytesRead).toString('utf8')
    if (begin === 0) return { text, cut: false }
    const firstLine = text.indexOf('\n') + 1
    return { text: text.slice(firstLine), cut: true }
  } finally {
    await file.close()
  }
}

/** Whoever may write to a log's directory must not choose what is read with the worker's rights. A FIFO must not block. */
async function openFile(path: string): Promise<FileHandle> {
  const directory = await DirectoryHandle.open(dirname(path))
  try {
    return await directory.openFile(basename(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } finally {
    await directory.close()
  }
}
