import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { DirectoryHandle } from '../free-disk/directory-handle.ts'

/** Bytes that are read at once; and of a file whose size nobody knows, which may not end. */
const CHUNK_BYTES = 64 * 1024
const MAX_UNSIZED_BYTES = 64 * 1024 * 1024

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
    // Files of /proc and /sys have no size: they are read until they end.
    const { bytes, omitted } = await readEnd(file, begin, stat.size === 0 ? MAX_UNSIZED_BYTES : stat.size - begin, most)
    const text = bytes.toString('utf8')
    if (begin === 0 && omitted === 0) return { text, cut: false }
    const firstLine = text.indexOf('\n') + 1
    return { text: text.slice(firstLine), cut: true }
  } finally {
    await file.close()
  }
}

/**
 * Reads on from a position.
 *
 * @param limit bytes that are read
 * @param most bytes of these that are kept, the last ones
 */
async function readEnd(
  file: FileHandle,
  begin: number,
  limit: number,
  most: number,
): Promise<{ bytes: Buffer; omitted: number }> {
  let kept = Buffer.alloc(0)
  let read = 0
  while (read < limit) {
    const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, limit - read))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, begin + read)
    if (bytesRead === 0) break
    read += bytesRead
    kept = Buffer.concat([kept, chunk.subarray(0, bytesRead)])
    if (kept.length > 2 * most) kept = Buffer.from(kept.subarray(kept.length - most))
  }
  const bytes = kept.subarray(Math.max(kept.length - most, 0))
  return { bytes, omitted: read - bytes.length }
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
