import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogReader, LogWriter } from './test-support.ts'

let writer: LogWriter
let reader: LogReader
beforeEach(() => {
  writer = new LogWriter()
  reader = new LogReader([writer.path])
})
afterEach(async () => {
  await reader.close()
  writer.close()
})

const events = () => reader.notices.map(({ event }) => event)
const lost = () => reader.notices.filter(({ event }) => event === 'log_lines_lost')

describe('unusual files', () => {
  it('missing → reported once, read when it appears', async () => {
    writer.remove()
    await reader.poll()
    await reader.poll()
    expect(reader.problem).toBeNull()
    expect(events()).toEqual(['log_missing'])
    writer.create()
    writer.append('1\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1'])
  })

  it('link that leads nowhere → reported as such', async () => {
    const link = join(writer.directory, 'link')
    symlinkSync('/nowhere/app.log', link)
    reader = new LogReader([link])
    await reader.poll()
    expect(reader.notices).toMatchObject([
      { event: 'log_missing', detail: expect.stringContaining('/nowhere/app.log') },
    ])
  })

  it('missing for long → reported', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.remove()
    await reader.poll()
    expect(events()).toEqual([])
    await reader.poll()
    await reader.poll()
    expect(events()).toEqual(['log_missing'])
  })

  it('removed → read to its end, and its successor', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.append('2\n')
    writer.remove()
    await reader.poll()
    writer.create()
    writer.append('3\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3'])
    expect(lost()).toEqual([])
  })

  it('unreadable → a problem while it lasts', async () => {
    writer.append('1\n')
    chmodSync(writer.directory, 0o755)
    chmodSync(writer.path, 0)
    await asNobody(() => reader.poll())
    expect(reader.problem).toContain('EACCES')
    chmodSync(writer.path, 0o644)
    await asNobody(() => reader.poll())
    expect(reader.problem).toBeNull()
    expect(reader.lines).toEqual(['1'])
  })

  it('not a file → a problem while it lasts', async () => {
    writer.remove()
    mkdirSync(writer.path)
    await reader.poll()
    await reader.poll()
    expect(reader.problem).toBe(`${writer.path} is not a regular file`)
    expect(events()).toEqual(['log_unreadable'])
    rmSync(writer.path, { recursive: true })
    writer.create()
    writer.append('1\n')
    await reader.poll()
    expect(reader.problem).toBeNull()
    expect(reader.lines).toEqual(['1'])
  })

  it('symbolic link → followed to each target', async () => {
    const [one, two] = [join(writer.directory, 'one'), join(writer.directory, 'two')]
    writeFileSync(one, '1\n')
    writeFileSync(two, '2\n')
    const link = join(writer.directory, 'link')
    reader = new LogReader([link])
    symlinkSync(one, link)
    await reader.poll()
    unlinkSync(link)
    symlinkSync(two, link)
    writeFileSync(one, '1b\n', { flag: 'a' })
    await reader.poll()
    expect(reader.lines).toEqual(['1', '1b', '2'])
  })

  it('truncated while its writer does not append → what it writes next is read, without the hole', async () => {
    for (const size of [10, 300_000]) {
      const path = join(writer.directory, `hole-${size}.log`)
      const descriptor = openSync(path, 'w')
      writeSync(descriptor, `${'x'.repeat(size - 1)}\n`)
      reader = new LogReader([path])
      await reader.poll()
      truncateSync(path)
      await reader.poll()
      writeSync(descriptor, 'first\nsecond\n')
      closeSync(descriptor)
      await reader.poll()
      await reader.poll()
      expect(reader.lines.slice(1)).toEqual(['first', 'second'])
    }
  })

  it('two names → read once', async () => {
    symlinkSync(writer.path, join(writer.directory, 'link.log'))
    reader = new LogReader([join(writer.directory, '*.log')])
    writer.append('1\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1'])
  })
})

describe('file that is gone, and comes back', () => {
  const minutes = async (count: number): Promise<void> => {
    for (let polls = 0; polls < count; polls += 1) await reader.poll(60_000)
  }
  const app = (): string => join(writer.directory, 'app')
  const log = (): string => join(app(), 'app.log')

  it.each([
    ['within a moment', 0],
    ['after a while', 10],
    ['after days', 3000],
  ])('directory moved away, and back %s → read on', async (_, count) => {
    mkdirSync(app())
    writeFileSync(log(), '1\n2\n')
    reader = new LogReader([log()])
    await reader.poll()
    renameSync(app(), join(writer.directory, 'away'))
    await minutes(count)
    renameSync(join(writer.directory, 'away'), app())
    writeFileSync(log(), '3\n', { flag: 'a' })
    await minutes(3)
    expect(reader.lines).toEqual(['1', '2', '3'])
  })

  it('the same, and the reader restarted meanwhile → read on', async () => {
    mkdirSync(app())
    writeFileSync(log(), '1\n2\n')
    reader = new LogReader([log()])
    await reader.poll()
    await reader.restart(() => renameSync(app(), join(writer.directory, 'away')))
    await minutes(5)
    await reader.restart()
    await minutes(5)
    renameSync(join(writer.directory, 'away'), app())
    writeFileSync(log(), '3\n', { flag: 'a' })
    await minutes(3)
    expect(reader.lines).toEqual(['1', '2', '3'])
  })

  it('link to another release, and back to the older one → read on', async () => {
    for (const release of ['r1', 'r2']) {
      mkdirSync(join(writer.directory, release))
      writeFileSync(join(writer.directory, release, 'app.log'), `${release} began\n`)
    }
    symlinkSync(join(writer.directory, 'r1'), app())
    reader = new LogReader([log()])
    await reader.poll()
    const switchTo = (release: string): void => {
      unlinkSync(app())
      symlinkSync(join(writer.directory, release), app())
    }
    switchTo('r2')
    await minutes(5)
    switchTo('r1')
    writeFileSync(log(), 'r1 again\n', { flag: 'a' })
    await minutes(3)
    expect(reader.lines).toEqual(['r1 began', 'r2 began', 'r1 again'])
  })

  it('replaced by a copy that has more, as by rsync → read on', async () => {
    writer.append('1\n2\n')
    await reader.poll()
    const copy = join(writer.directory, '.copy')
    writeFileSync(copy, '1\n2\n3\n')
    renameSync(copy, writer.path)
    await minutes(2)
    expect(reader.lines).toEqual(['1', '2', '3'])
    expect(events()).toContain('log_resumed')
  })

  it('another file comes back under its name → read from its beginning', async () => {
    writer.append('1\n2\n')
    await reader.poll()
    writer.remove()
    await minutes(5)
    writer.create()
    writer.append('other\nlines\n')
    await minutes(2)
    expect(reader.lines).toEqual(['1', '2', 'other', 'lines'])
  })
})

/** Does something without root's right to read everything. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65_534)
  try {
    await work()
  } finally {
    if (root) process.seteuid?.(0)
  }
}
