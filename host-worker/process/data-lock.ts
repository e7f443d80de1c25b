import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A data directory that is held. */
export interface DataLock {
  release(): void
}

/** Somebody else works on the data directory. */
export class DataDirectoryInUse extends Error {
  readonly directory: string
  /** Who holds it, as far as is known. */
  readonly pid: number | undefined

  constructor(directory: string, pid: number | undefined) {
    super(`${directory} is in use by another process${pid === undefined ? '' : ` (pid ${pid})`}`)
    this.directory = directory
    this.pid = pid
  }
}

/**
 * Takes a data directory for this process alone, or throws `DataDirectoryInUse`.
 * The lock is SQLite's on a file, so the kernel gives it up with the process, however that ends.
 */
export async function lockDataDirectory(directory: string): Promise<DataLock> {
  mkdirSync(directory, { recursive: true })
  const holderFile = join(directory, 'lock.pid')
  const database = new DatabaseSync(join(directory, 'lock.sqlite'), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!isBusy(error)) throw error
    throw new DataDirectoryInUse(directory, readPid(holderFile))
  }
  held.add(database)
  // A link in its place would have another file overwritten.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
  const file = openSync(holderFile, flags, 0o600)
  writeFileSync(file, `${process.pid}\n`)
  closeSync(file)
  return {
    release: () => {
      if (!database.isOpen) return
      rmSync(holderFile, { force: true })
      database.close()
      held.delete(database)
    },
  }
}

/** A database that is garbage is closed, and its lock lost with it. */
const held = new Set<DatabaseSync>()

/** SQLITE_BUSY, also in its extended forms. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5
}

function readPid(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || undefined
  } catch {
    return undefined
  }
}
