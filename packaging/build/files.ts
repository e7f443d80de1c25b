/** Directories whose content is the same each time they are made. */
import { chmod, cp, lutimes, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

/** The paths of all files below a directory, relative to it, sorted. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort()
}

/** Copies those of some files that are wanted. @param paths relative to both directories */
export async function copyFiles(from: string, to: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(to, path)), { recursive: true })
    await cp(join(from, path), join(to, path), { dereference: true })
  }
}

/** Writes a file, and the directories above it. */
export async function putFile(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

/**
 * Gives all files the same modes and times, whatever the umask and the hour.
 *
 * @param isExecutable by the path relative to the directory
 * @param at in seconds since the epoch
 */
export async function normalise(directory: string, isExecutable: (path: string) => boolean, at: number): Promise<void> {
  for (const path of await filesBelow(directory)) {
    await chmod(join(directory, path), isExecutable(path) ? 0o755 : 0o644)
    await lutimes(join(directory, path), at, at)
  }
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const directories = entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
  // The deepest first: their own times change with their content.
  for (const path of [directory, ...directories].sort().reverse()) {
    await chmod(path, 0o755)
    await lutimes(path, at, at)
  }
}

/** Bytes of all files below a directory. */
export async function sizeOf(directory: string): Promise<number> {
  let bytes = 0
  for (const path of await filesBelow(directory)) bytes += (await stat(join(directory, path))).size
  return bytes
}
