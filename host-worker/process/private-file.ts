/** Files that only their owner may read, and that no reader ever sees half of. */
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Puts a file in the place of whatever was there. Directories that are missing are made. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await withDraft(path, text, (draft) => rename(draft, path))
}

/** Makes a file unless there is one; false if there is, also when another process has just made it. */
export async function createFile(path: string, text: string): Promise<boolean> {
  return withDraft(path, text, (draft) => publish(draft, path))
}

/** Gives a file another name unless something has it, even a symbolic link; false if something has. Both name the file then. */
export async function publish(draft: string, path: string): Promise<boolean> {
  try {
    // Unlike a rename, a link replaces no file.
    await link(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** The text of a file, null if there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

async function withDraft<T>(path: string, text: string, use: (draft: string) => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomUUID()}.new`
  try {
    await writeFile(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    return await use(draft)
  } finally {
    await rm(draft, { force: true })
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
