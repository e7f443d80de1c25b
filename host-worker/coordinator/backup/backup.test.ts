import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { UNIQUE_KEYS } from '../workerd.ts'
import { readArchive } from './archive.ts'
import { OBJECTS, saveCoordinator } from './backup.ts'
import { refuseHalfRestored, restoreCoordinator } from './restore.ts'

const MIB = 1024 * 1024
const LEDGER = `${OBJECTS}/${UNIQUE_KEYS.Ledger}/one.sqlite`
const ignore = (): void => undefined

let directory: string
let data: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'resile-backup-test-'))
  data = join(directory, 'data')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A ledger with so many rows of a MiB that no compression helps. */
function ledger(rows: number): DatabaseSync {
  const file = join(data, LEDGER)
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE facts (name TEXT, value BLOB)')
  for (let row = 0; row < rows; row += 1) {
    database.prepare('INSERT INTO facts VALUES (?, randomblob(?))').run(`fact ${row}`, MIB)
  }
  return database
}

const save = (file = 'backup'): ReturnType<typeof saveCoordinator> =>
  saveCoordinator(data, join(directory, file), '1.0.0', ignore)

test('another connection writes all the time → saved as of one moment', async () => {
  const database = ledger(24)
  const writing = setInterval(() => database.exec("INSERT INTO facts VALUES ('more', 1)"), 5)
  try {
    expect((await save()).files).toMatchObject([{ path: LEDGER }])
  } finally {
    clearInterval(writing)
    database.close()
  }
})

test('saved and restored → the same bytes, for this user alone', async () => {
  ledger(3).close()
  mkdirSync(join(data, 'certs'))
  writeFileSync(join(data, 'certs/my key.pem'), 'secret')
  await save()
  const file = join(directory, 'backup')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readdirSync(directory).sort()).toEqual(['backup', 'data'])
  const before = new DatabaseSync(join(data, LEDGER)).prepare('SELECT * FROM facts').all()
  rmSync(data, { recursive: true })
  mkdirSync(data)
  expect(await restoreCoordinator(data, file)).toMatchObject({ movedTo: null, kept: [] })
  expect(new DatabaseSync(join(data, LEDGER)).prepare('SELECT * FROM facts').all()).toEqual(before)
  expect(readFileSync(join(data, 'certs/my key.pem'), 'utf8')).toBe('secret')
  expect(readdirSync(data).sort()).toEqual(['certs', 'coordinator'])
})

test('any byte changed, or an end cut off → refused', async () => {
  ledger(1).close()
  await save()
  const whole = readFileSync(join(directory, 'backup'))
  const file = join(directory, 'damaged')
  for (const at of [20, whole.length >> 1, whole.length - 20]) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] ?? 0) ^ 0xff
    writeFileSync(file, damaged)
    await expect(readArchive(file, null)).rejects.toThrow(/damaged|can't be read|no backup/)
    writeFileSync(file, whole.subarray(0, at))
    await expect(readArchive(file, null)).rejects.toThrow(/damaged|can't be read|no backup/)
  }
})

test('a file is there, or a link → not written through', async () => {
  ledger(1).close()
  writeFileSync(join(directory, 'backup'), 'mine')
  await expect(save()).rejects.toThrow('is there already')
  expect(readFileSync(join(directory, 'backup'), 'utf8')).toBe('mine')
})

test('what a killed process left → removed; what a running one has → kept', async () => {
  ledger(1).close()
  // No process has a pid that large.
  for (const name of [`.resile-backup-${2 ** 30}-abc`, `.resile-backup-${process.pid}-abc`])
    mkdirSync(join(directory, name))
  await save()
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([`.resile-backup-${process.pid}-abc`])
})

test('restore was broken off between moving and replacing → no coordinator runs with the data', async () => {
  ledger(1).close()
  await save()
  mkdirSync(join(data, `.restoring-${2 ** 30}-abc`))
  await refuseHalfRestored(data)
  rmSync(join(data, OBJECTS), { recursive: true })
  await expect(refuseHalfRestored(data)).rejects.toThrow('a restore was broken off')
  await restoreCoordinator(data, join(directory, 'backup'))
  await refuseHalfRestored(data)
  expect(existsSync(join(data, LEDGER))).toBe(true)
})
