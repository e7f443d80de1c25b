import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { FreeDiskRule } from '../../../../shared/config.ts'
import type { FreeDiskReport } from '../../../../workflows/sdk/activities.ts'
import { DirectoryHandle } from './directory-handle.ts'
import { freeDisk } from './free-disk.ts'

const HOUR = 3_600_000
const NOW = Date.parse('2026-06-01T00:00:00Z')

function scratch(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'resile-disk-')))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  return directory
}

/** Writes files with their ages in hours. */
function fill(directory: string, ages: Record<string, number>, bytes = 5000): void {
  for (const [name, age] of Object.entries(ages)) {
    const path = join(directory, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, Buffer.alloc(bytes, 'x'))
    const at = (NOW - age * HOUR) / 1000
    utimesSync(path, at, at)
  }
}

function run(directory: string, more: Partial<FreeDiskRule> = {}, options: object = {}): Promise<FreeDiskReport> {
  return freeDisk({
    rule: { paths: [directory], pattern: '.*\\.log(?:\\..*)?', older_than: HOUR, min_size: 0, keep: 0, ...more },
    now: NOW,
    untilFreePercent: null,
    dryRun: false,
    signal: new AbortController().signal,
    ...options,
  })
}

describe('files removed', () => {
  it('old, matching, below the directory → removed, oldest first', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 0.5, 'b.log': 2, 'c.log.1': 5, 'd.txt': 9, 'below/e.log': 3, 'f.log2': 9 })
    const report = await run(directory)
    expect(report.removed.map(({ path }) => path.slice(directory.length + 1))).toEqual([
      'c.log.1',
      'below/e.log',
      'b.log',
    ])
    expect(report).toMatchObject({ files: 3, errors: [], removed: [{ modified: '2026-05-31T19:00:00.000Z' }, {}, {}] })
    expect(report.bytes).toBeGreaterThanOrEqual(3 * 5000)
    expect(['a.log', 'd.txt', 'f.log2'].every((name) => existsSync(join(directory, name)))).toBe(true)
    expect(existsSync(join(directory, 'below'))).toBe(true)
  })

  it('newest of each directory, and small ones → kept', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 2, 'b.log': 3, 'c.log': 4, 'x/d.log': 9 })
    fill(directory, { 'small.log': 50 }, 10)
    const report = await run(directory, { keep: 1, min_size: 100 })
    expect(report.removed.map(({ path }) => path.slice(directory.length + 1))).toEqual(['c.log', 'b.log'])
  })

  it('enough free → stops', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 2, 'b.log': 3 })
    expect(await run(directory, {}, { untilFreePercent: 0.1 })).toMatchObject({ files: 0 })
    expect(await run(directory, {}, { untilFreePercent: 100 })).toMatchObject({ files: 2 })
  })

  it('enough free after the first file → no more removed', { timeout: 40_000 }, async () => {
    const directory = scratch()
    fill(directory, Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`${index}.log`, 20 - index])))
    const wouldRemove = async (): Promise<number> => {
      const { before } = await run(directory, {}, { dryRun: true })
      // A file of a tenth of a percent would be large: in a dry run, what would be free is counted.
      const percent = (before.free / before.total) * 100 + 1e-9
      return (await run(directory, {}, { dryRun: true, untilFreePercent: percent })).files
    }
    // Others may write to the file system, or remove something, between the two.
    await expect.poll(wouldRemove, { timeout: 30_000 }).toBe(1)
  })

  it('first path missing → the others freed, and reported; all missing → fails', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 2 })
    const report = await run(directory, { paths: ['/nowhere/at/all', directory] })
    expect(report).toMatchObject({ files: 1, before: { path: directory } })
    expect(report.errors[0]).toMatch(/^\/nowhere\/at\/all: /)
    const missing = expect.objectContaining({ type: 'PathsNotFound', nonRetryable: true })
    await expect(run(directory, { paths: ['/nowhere/at/all'] })).rejects.toEqual(missing)
  })

  it('name that is not UTF-8 → removed, and printed', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 2 })
    const name = Buffer.concat([Buffer.from(`${directory}/b`), Buffer.from([0xff, 0xfe]), Buffer.from('.log')])
    renameSync(join(directory, 'a.log'), name)
    const report = await run(directory)
    expect(report.removed).toMatchObject([{ path: `${directory}/b\\xff\\xfe.log` }])
    expect(readdirSync(directory)).toEqual([])
  })

  it('paths within each other → each file once', async () => {
    const directory = scratch()
    fill(directory, { 'below/a.log': 2 })
    const report = await run(directory, { paths: [directory, join(directory, 'below')] })
    expect(report).toMatchObject({ files: 1, errors: [] })
  })

  it('dry run → none, report says which', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 2, 'b.log': 3 })
    expect(await run(directory, {}, { dryRun: true })).toMatchObject({ files: 2 })
    expect([existsSync(join(directory, 'a.log')), existsSync(join(directory, 'b.log'))]).toEqual([true, true])
  })
})

it("report with any names → fits into Temporal's limit", async () => {
  const directory = scratch()
  const names = Array.from({ length: 250 }, (_, index) => `${String.fromCharCode(1).repeat(240)}${index}.log`)
  fill(directory, Object.fromEntries(names.map((name) => [name, 9])), 1)
  const report = await run(directory)
  expect(report.files).toBe(250)
  expect(JSON.stringify(report).length).toBeLessThan(1_000_000)
})

describe('files never removed', () => {
  it('target of a symbolic link, and the link', async () => {
    const [directory, outside] = [scratch(), scratch()]
    fill(outside, { 'precious.log': 9 })
    symlinkSync(outside, join(directory, 'away'))
    symlinkSync(join(outside, 'precious.log'), join(directory, 'link.log'))
    expect(await run(directory)).toMatchObject({ files: 0, errors: [] })
    expect(existsSync(join(outside, 'precious.log'))).toBe(true)
  })

  it('file with a second name', async () => {
    const directory = scratch()
    fill(directory, { 'a.log': 9 })
    linkSync(join(directory, 'a.log'), join(directory, 'kept'))
    expect(await run(directory)).toMatchObject({ files: 0 })
  })

  it('below a symbolic link, or on the way to one', async () => {
    const [directory, outside] = [scratch(), scratch()]
    fill(outside, { 'below/precious.log': 9 })
    symlinkSync(outside, join(directory, 'root'))
    for (const path of [join(directory, 'root'), join(directory, 'root/below')]) {
      const { errors, files } = await run(path).catch((error: unknown) => ({ errors: [String(error)], files: 0 }))
      expect(files).toBe(0)
      expect(errors[0]).toContain('leads to')
    }
  })

  it('not a regular file', async () => {
    const directory = scratch()
    execFileSync('mkfifo', [join(directory, 'pipe.log')])
    mkdirSync(join(directory, 'directory.log'))
    expect(await run(directory)).toMatchObject({ files: 0, errors: [] })
  })
})

it('directory replaced while held → same directory', async () => {
  const [directory, outside] = [scratch(), scratch()]
  fill(outside, { 'a.log': 9 })
  fill(directory, { 'logs/a.log': 9 })
  const held = await DirectoryHandle.open(join(directory, 'logs'))
  execFileSync('mv', [join(directory, 'logs'), join(directory, 'moved')])
  symlinkSync(outside, join(directory, 'logs'))
  await held.remove(Buffer.from('a.log'))
  await held.close()
  expect([existsSync(join(directory, 'moved/a.log')), existsSync(join(outside, 'a.log'))]).toEqual([false, true])
})

it('symbolic link replaces a directory → not entered', async () => {
  const [directory, outside] = [scratch(), scratch()]
  symlinkSync(outside, join(directory, 'link'))
  const held = await DirectoryHandle.open(directory)
  await expect(held.enter(Buffer.from('link'))).rejects.toThrow(/ELOOP|ENOTDIR/)
  await held.close()
})

it('file replaces an old one → not removed', async () => {
  const directory = scratch()
  fill(directory, { 'a.log': 9 })
  let looks = 0
  // Looked at once when the file is found, and once before it is removed.
  const throwIfAborted = (): void => {
    looks += 1
    if (looks < 2) return
    fill(directory, { 'new.log': 0 })
    renameSync(join(directory, 'new.log'), join(directory, 'a.log'))
  }
  const report = await run(directory, {}, { signal: { throwIfAborted } })
  expect(report).toMatchObject({ files: 0, errors: [expect.stringContaining('has changed meanwhile')] })
  expect(existsSync(join(directory, 'a.log'))).toBe(true)
})

it('free-disk: unreadable path → reported, rest done', async () => {
  const directory = scratch()
  fill(directory, { 'a.log': 9 })
  const report = await run(directory, { paths: [directory, join(directory, 'none')] })
  expect(report).toMatchObject({ files: 1, errors: [expect.stringContaining('ENOENT')] })
})
