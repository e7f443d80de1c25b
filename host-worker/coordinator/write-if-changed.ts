import { readFile, writeFile } from 'node:fs/promises'

/** Writes a file for this user alone, unless it has that content. */
export async function writeIfChanged(path: string, content: string): Promise<void> {
  const present = await readFile(path, 'utf8').catch(() => null)
  if (present !== content) await writeFile(path, content, { mode: 0o600 })
}
