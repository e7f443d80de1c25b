/** The way back from a backup. */
import { renameSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CommandError } from '../../process/exit-codes.ts'
import { UNIQUE_KEYS } from '../workerd.ts'
import { type Manifest, readArchive } from './archive.ts'
import { CERTIFICATES, checkSound, OBJECTS } from './backup.ts'
import { withStaging } from './staging.ts'

/** What the directories are called in which a restore is prepared. */
const PREFIX = '.restoring-'

/** How a restore went. */
export interface Restored {
  manifest: Manifest
  /** Where the ledgers are now that were there before; null when there were none. */
  movedTo: string | null
  /** Keys and certificates of the backup that were not taken, because others are there. */
  kept: string[]
}

/**
 * Puts a coordinator's data back. Nothing is deleted: ledgers that are there are moved aside, keys and certificates that are
 * there stay. When the coordinator starts, it first imports what Temporal shows that the backup doesn't know.
 *
 * @param data held by the caller
 * @throws CommandError when the backup is none, or damaged; then nothing has changed
 */
export async function restoreCoordinator(data: string, file: string): Promise<Restored> {
  return withStaging(data, PREFIX, async (staging) => {
    const manifest = await readArchive(file, staging)
    for (const { path } of manifest.files) {
      if (path.endsWith('.sqlite')) prepareDatabase(join(staging, path), path)
    }
    const objects = join(data, OBJECTS)
    const movedTo = (await isEmpty(objects))
      ? null
      : `${objects}.before-${new Date().toISOString().replaceAll(':', '')}`
    await mkdir(dirname(objects), { recursive: true, mode: 0o700 })
    // Before the ledgers: without its key a coordinator would make another one, and not know its own executions.
    const kept = await restoreKeys(manifest, staging, data)
    if (movedTo === null) await rm(objects, { recursive: true, force: true })
    // No signal may come between the two.
    else renameSync(objects, movedTo)
    renameSync(join(staging, OBJECTS), objects)
    return { manifest, movedTo, kept }
  })
}

/**
 * Refuses data whose ledgers a restore has moved aside and not replaced: a coordinator would begin without freezes, limits
 * and approvals.
 *
 * @throws CommandError that says what to do
 */
export async function refuseHalfRestored(data: string): Promise<void> {
  const names = await readdir(data).catch(() => [])
  const hasObjects = (await stat(join(data, OBJECTS)).catch(() => null)) !== null
  const left = names.find((name) => name.startsWith(PREFIX))
  if (hasObjects || left === undefined) return
  throw new CommandError(
    `a restore was broken off in ${data}: run \`resile restore\` again, or delete ${join(data, left)} to begin without data`,
  )
}

/** Checks a database; a ledger has to import again before it admits anything. */
function prepareDatabase(file: string, path: string): void {
  const database = new DatabaseSync(file)
  try {
    checkSound(database, `the backup is damaged: ${path}`)
    const isLedger = path.startsWith(`${OBJECTS}/${UNIQUE_KEYS.Ledger}/`) && !path.endsWith('/metadata.sqlite')
    if (isLedger) database.exec("DELETE FROM facts WHERE name = 'imported'")
  } finally {
    database.close()
  }
}

async function restoreKeys({ files }: Manifest, staging: string, data: string): Promise<string[]> {
  const kept: string[] = []
  for (const { path } of files.filter((one) => one.path.startsWith(`${CERTIFICATES}/`))) {
    const [from, to] = [join(staging, path), join(data, path)]
    if ((await stat(to).catch(() => null)) === null) {
      await mkdir(dirname(to), { recursive: true, mode: 0o700 })
      await rename(from, to)
      await chmod(to, 0o600)
    } else if (!(await isSameFile(from, to))) kept.push(path)
  }
  return kept
}

async function isEmpty(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  return !entries.some((entry) => entry.isFile())
}

/** Whether two files have the same content; false when one is missing. */
async function isSameFile(one: string, other: string): Promise<boolean> {
  const read = (file: string): Promise<Buffer | null> => readFile(file).catch(() => null)
  const [first, second] = await Promise.all([read(one), read(other)])
  return first !== null && second !== null && first.equals(second)
}
