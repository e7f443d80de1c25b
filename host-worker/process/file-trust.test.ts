import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { checkOwnDirectory, ensurePrivateDirectory, readTrustedFile, Untrusted } from './file-trust.ts'
import { temporaryDirectory } from './test-support.ts'

const isRoot = geteuid?.() === 0
const NOBODY = 65_534

describe('private directory', () => {
  test('missing → made for this user alone', () => {
    const directory = join(temporaryDirectory(), 'a', 'b')
    ensurePrivateDirectory(directory)
    ensurePrivateDirectory(directory)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
  })

  test.each([0o777, 0o1777, 0o757, 0o702])('mode %o → refused', (mode) => {
    const directory = temporaryDirectory()
    chmodSync(directory, mode)
    expect(() => ensurePrivateDirectory(directory)).toThrow(`chmod o-w ${directory}`)
  })

  test('parent that everybody can write to → refused unless it is sticky, as /tmp', () => {
    const parent = temporaryDirectory()
    const directory = join(parent, 'data')
    mkdirSync(directory, { mode: 0o700 })
    chmodSync(parent, 0o777)
    expect(() => ensurePrivateDirectory(directory)).toThrow(`chmod o-w ${parent}`)
    chmodSync(parent, 0o1777)
    ensurePrivateDirectory(directory)
  })

  test('link to a directory → what it leads to is checked', () => {
    const open = temporaryDirectory()
    chmodSync(open, 0o777)
    const link = join(temporaryDirectory(), 'data')
    symlinkSync(open, link)
    expect(() => ensurePrivateDirectory(link)).toThrow(Untrusted)
  })

  test.runIf(isRoot)('group or owner is another one → refused, of parents unless it is trusted', () => {
    const parent = temporaryDirectory()
    const directory = join(parent, 'data')
    mkdirSync(directory, { mode: 0o770 })
    chmodSync(directory, 0o770)
    ensurePrivateDirectory(directory)
    chownSync(directory, 0, NOBODY)
    expect(() => ensurePrivateDirectory(directory)).toThrow(`chmod g-w ${directory}`)
    chownSync(directory, NOBODY, 0)
    expect(() => ensurePrivateDirectory(directory, [NOBODY])).toThrow(`belongs to user ${NOBODY}`)
    chownSync(directory, 0, 0)
    chownSync(parent, NOBODY, NOBODY)
    expect(() => ensurePrivateDirectory(directory)).toThrow(`${parent} belongs to user ${NOBODY}`)
    ensurePrivateDirectory(directory, [NOBODY])
  })
})

test.skipIf(!isRoot || lacks('acl'))(
  `${titled('access control list lets another user write → refused', 'acl')}`,
  () => {
    const directory = join(temporaryDirectory(), 'data')
    mkdirSync(directory, { mode: 0o700 })
    execFileSync('setfacl', ['-m', `u:${NOBODY}:r`, directory])
    ensurePrivateDirectory(directory)
    execFileSync('setfacl', ['-m', `u:${NOBODY}:rwx`, directory])
    expect(() => ensurePrivateDirectory(directory)).toThrow(`setfacl -b ${directory}`)
  },
)

describe('own directory', () => {
  test('mode 0700 → in order', () => {
    const directory = temporaryDirectory()
    chmodSync(directory, 0o700)
    expect(() => checkOwnDirectory(directory)).not.toThrow()
  })

  test.each([0o755, 0o710, 0o777])('mode %o → refused, and the chmod is named', (mode) => {
    const directory = temporaryDirectory()
    chmodSync(directory, mode)
    expect(() => checkOwnDirectory(directory)).toThrow(`chmod 700 ${directory}`)
  })

  test('link to such a directory → refused: it could be led elsewhere', () => {
    const link = join(temporaryDirectory(), 'link')
    symlinkSync(temporaryDirectory(), link)
    expect(() => checkOwnDirectory(link)).toThrow(`${link} is not a directory`)
  })
})

describe('trusted file', () => {
  const file = (mode: number): string => {
    const path = join(temporaryDirectory(), 'keys.json')
    writeFileSync(path, 'keys')
    chmodSync(path, mode)
    return path
  }

  test.each([0o600, 0o640, 0o444])('mode %o → read', async (mode) => {
    expect(await readTrustedFile(file(mode))).toBe('keys')
  })

  test.each([0o666, 0o602])('mode %o → refused', async (mode) => {
    await expect(readTrustedFile(file(mode))).rejects.toThrow(Untrusted)
  })

  test('link → what it leads to is checked', async () => {
    const link = join(temporaryDirectory(), 'link')
    symlinkSync(file(0o666), link)
    await expect(readTrustedFile(link)).rejects.toThrow(Untrusted)
  })

  test.runIf(isRoot)('of another user → refused', async () => {
    const path = file(0o600)
    chownSync(path, NOBODY, 0)
    await expect(readTrustedFile(path)).rejects.toThrow(`belongs to user ${NOBODY}`)
  })
})
