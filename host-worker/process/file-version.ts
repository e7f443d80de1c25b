import { stat } from 'node:fs/promises'

/**
 * Names the content of a file without reading it, and who may write it: another one after it was changed or replaced, or
 * given to somebody else.
 *
 * @throws what `stat` throws
 */
export async function fileVersion(file: string): Promise<string> {
  const { mtimeMs, ctimeMs, size, ino, mode, uid } = await stat(file)
  return `${mtimeMs}:${ctimeMs}:${size}:${ino}:${mode}:${uid}`
}
