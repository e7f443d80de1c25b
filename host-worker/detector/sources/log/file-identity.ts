import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'

/** The identity of a file, whatever its name, and whether it changed. Numbers as text, since they exceed JSON's precision. */
export interface FileIdentity {
  /** Device and inode. The system gives an inode that is free to the next file, unless a process holds the old one open. */
  key: string
  /** When it was made, in nanoseconds; 0 where that can't be known. */
  born: bigint
  size: number
  /** When its content changed, in nanoseconds. */
  changed: bigint
  /** Another one after any change of its content or names. */
  version: string
  /** Number of its names. */
  links: number
  regular: boolean
}

/** Devices that are known to say when a file was made: where that can't be asked, Node gives the time of the last change. */
const devicesWithBirth = new Set<bigint>()

/** The identity from a file's status. */
export function identityOf(stats: BigIntStats): FileIdentity {
  if (stats.birthtimeNs !== stats.ctimeNs) devicesWithBirth.add(stats.dev)
  return {
    key: `${stats.dev}:${stats.ino}`,
    born: devicesWithBirth.has(stats.dev) ? stats.birthtimeNs : 0n,
    size: Number(stats.size),
    changed: stats.mtimeNs,
    version: `${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
    links: Number(stats.nlink),
    regular: stats.isFile(),
  }
}

/**
 * The file that a path names, through symbolic links; null when there is none.
 *
 * @throws any other error of `stat`
 */
export async function identityAt(path: string): Promise<FileIdentity | null> {
  try {
    return identityOf(await stat(path, { bigint: true }))
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

/** Whether an error says that a path names nothing. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

/** Whether two files that were made at these times can't be the same one. */
export function bornApart(a: bigint, b: bigint): boolean {
  return a !== 0n && b !== 0n && a !== b
}
