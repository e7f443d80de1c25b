import { chmodSync, mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
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

  it('two names → read once', async () => {
    symlinkSync(writer.path, join(writer.directory, 'link.log'))
    reader = new LogReader([join(writer.directory, '*.log')])
    writer.append('1\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1'])
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
