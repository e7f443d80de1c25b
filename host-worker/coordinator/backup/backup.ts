/** A backup of a coordinator while it runs. */
import { cp, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { backup as copyDatabase, DatabaseSync } from 'node:sqlite'
import { CommandError } from '../../process/exit-codes.ts'
import { publish } from '../../process/private-file.ts'
import { UNIQUE_KEYS } from '../workerd.ts'
import { type Manifest, writeArchive } from './archive.ts'
import { withStaging } from './staging.ts'

/** Where workerd keeps the Durable Objects, relative to the data directory. */
export const OBJECTS = 'coordinator/objects'
/** Where keys and certificates are that `resile certs` made. */
export const CERTIFICATES = 'certs'

/**
 * What is saved. A GlobalLedger is none of it: it is made again of what the ledgers say, and could contradict them if it
 * were saved a moment later.
 */
const SAVED = [UNIQUE_KEYS.Ledger, UNIQUE_KEYS.Roster, UNIQUE_KEYS.Signals]

/**
 * Saves a coordinator's ledgers, keys and certificates. Each ledger is saved as of one moment.
 *
 * @param file must not be there
 * @param onProgress told of each database, with how many there are
 * @throws CommandError when there is nothing to save, or what was saved is not whole
 */
export async function saveCoordinator(
  data: string,
  file: string,
  version: string,
  onProgress: (done: number, all: number) => void,
): Promise<Manifest> {
  if ((await stat(file).catch(() => null)) !== null) throw isThere(file)
  const databases = await databasesOf(data)
  if (databases.length === 0) throw new CommandError(`no coordinator has run with the data in ${data}`)
  // Beside the backup: there is room for it there.
  return withStaging(dirname(file), '.resile-backup-', async (staging) => {
    for (const [index, path] of databases.entries()) {
      await mkdir(dirname(join(staging, path)), { recursive: true })
      await saveDatabase(join(data, path), join(staging, path))
      onProgress(index + 1, databases.length)
    }
    const keys = await filesIn(join(data, CERTIFICATES), CERTIFICATES)
    if (keys.length > 0) await cp(join(data, CERTIFICATES), join(staging, CERTIFICATES), { recursive: true })
    const written = join(staging, 'backup')
    const manifest = await writeArchive(written, staging, [...databases, ...keys], version)
    if (!(await publish(written, file))) throw isThere(file)
    return manifest
  })
}

function isThere(file: string): CommandError {
  return new CommandError(`${file} is there already`)
}

async function databasesOf(data: string): Promise<string[]> {
  const found = await Promise.all(
    SAVED.map(async (key) => {
      const names = await readdir(join(data, OBJECTS, key)).catch(() => [])
      return names
        .filter((name) => name.endsWith('.sqlite'))
        .sort()
        .map((name) => `${OBJECTS}/${key}/${name}`)
    }),
  )
  return found.flat()
}

async function filesIn(directory: string, name: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(name, join(entry.parentPath, entry.name).slice(directory.length + 1)))
    .sort()
}

/** Copies a database as of one moment, whatever is written meanwhile (SQLite's online backup). */
async function saveDatabase(source: string, target: string): Promise<void> {
  const database = new DatabaseSync(source, { readOnly: true, timeout: 30_000 })
  try {
    // All pages in one step: between steps another process may write, and then SQLite begins again.
    await copyDatabase(database, target, { rate: 2 ** 31 - 1 })
  } finally {
    database.close()
  }
  const copy = new DatabaseSync(target)
  try {
    // One file instead of three.
    copy.exec('PRAGMA journal_mode = DELETE')
    checkSound(copy, `${source} is damaged`)
  } finally {
    copy.close()
  }
}

/** @param message what the verdict is added to. @throws CommandError when SQLite finds a database damaged */
export function checkSound(database: DatabaseSync, message: string): void {
  const [verdict] = Object.values(database.prepare('PRAGMA quick_check').get() ?? {})
  if (verdict !== 'ok') throw new CommandError(`${message}: ${String(verdict)}`)
}
