import { stat } from 'node:fs/promises'

/**
 * Names the content of a file without reading it: another one after it was changed or replaced.
 *
 * @throws what `stat` throws
 */
export async function fileVersion(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file)
  return `${mtimeMs}:${size}:${ino}`
}
