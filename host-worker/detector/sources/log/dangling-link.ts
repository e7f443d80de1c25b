import { existsSync, readlinkSync } from 'node:fs'

/** What is to be said of a path that names no file: nothing, unless it is there and is a link that leads nowhere. */
export function missingDetail(path: string): { detail?: string } {
  try {
    const target = readlinkSync(path)
    return existsSync(path) ? {} : { detail: `it is a symbolic link to ${target}, which does not exist` }
  } catch {
    return {}
  }
}
