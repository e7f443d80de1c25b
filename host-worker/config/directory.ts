import { readdir } from 'node:fs/promises'

/** The names in a directory, sorted, or why they can't be read (`ENOENT`, `ENOTDIR`, …). */
export async function list(directory: string): Promise<string[] | string> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
