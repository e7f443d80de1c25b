import { renameSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
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

describe('lines', () => {
  it('ended → read once', async () => {
    writer.append('one\ntw')
    await reader.poll()
    expect(reader.lines).toEqual(['one'])
    writer.append('o\n')
    await reader.poll()
    await reader.poll()
    expect(reader.lines).toEqual(['one', 'two'])
  })

  it('CRLF or invalid text → read', async () => {
    writer.append('one\r\ntwo\0\n')
    await reader.poll()
    writeFileSync(writer.path, Buffer.from([0x61, 0xc3, 0x0a, 0xff, 0x62, 0x0a]), { flag: 'a' })
    await reader.poll()
    expect(reader.lines).toEqual(['one', 'two\0', 'a\uFFFD', '\uFFFDb'])
  })

  it('too long → cut, and reported', async () => {
    const long = 'x'.repeat(300_000)
    writer.append(`before\n${long}\nbetween\n`)
    await reader.poll()
    writer.append(long)
    await reader.poll()
    writer.append(`${long}\nafter\n`)
    await reader.poll()
    const cut = 'x'.repeat(64 * 1024)
    expect(reader.lines).toEqual(['before', cut, 'between', cut, 'after'])
    expect(events()).toEqual(['log_lines_cut', 'log_lines_cut'])
  })

  it('very many → read in parts, and reported', async () => {
    const text = `${'y'.repeat(99)}\n`.repeat(10_000)
    for (let part = 0; part < 20; part += 1) writer.append(text)
    await reader.poll()
    expect(events()).toEqual(['log_lags'])
    expect(reader.lines.length).toBeLessThan(200_000)
    await reader.poll()
    expect(events()).toEqual(['log_lags', 'log_caught_up'])
    expect(reader.lines).toHaveLength(200_000)
  })
})

describe('first start', () => {
  it('from the end → existing lines skipped, later files read from the start', async () => {
    reader = new LogReader([join(writer.directory, '*.log')], 'end')
    writer.append('old\nbegun, ')
    await reader.poll()
    writer.append('ended\n')
    writeFileSync(join(writer.directory, 'new.log'), 'first\n')
    await reader.poll()
    expect(reader.lines.sort()).toEqual(['begun, ended', 'first'])
  })

  it('long last line → skipped as a whole', async () => {
    reader = new LogReader([writer.path], 'end')
    writer.append('z'.repeat(100_000))
    await reader.poll()
    writer.append('z\nnext\n')
    await reader.poll()
    expect(reader.lines).toEqual(['next'])
  })

  it('pattern added later → as at the first start', async () => {
    await reader.poll()
    writeFileSync(join(writer.directory, 'other.log'), 'old\n')
    const both = [writer.path, join(writer.directory, 'other.log')]
    const changed = new LogReader(both, 'end')
    await changed.poll()
    writeFileSync(join(writer.directory, 'other.log'), 'new\n', { flag: 'a' })
    await changed.poll()
    expect(changed.lines).toEqual(['new'])
    await changed.close()
  })
})

describe('rotation by renaming', () => {
  it('late lines → none lost', async () => {
    writer.append('one\n')
    await reader.poll()
    writer.append('two\n')
    writer.rename()
    writer.append('four\n')
    writer.appendLate('three\n')
    await reader.poll()
    writer.appendLate('late\n')
    await reader.poll()
    expect(reader.lines).toEqual(['one', 'two', 'three', 'four', 'late'])
    await reader.poll(30_000)
    await reader.poll(30_000)
    writer.appendLate('very late\n')
    await reader.poll()
    expect(reader.lines.at(-1)).toBe('very late')
  })

  it('several between two polls → found, oldest first', async () => {
    writer.append('1\n')
    await reader.poll()
    for (const line of ['2\n', '3\n', '4\n']) {
      writer.append(line)
      writer.rename()
    }
    writer.append('5\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3', '4', '5'])
    expect(lost()).toEqual([])
  })

  it('during downtime → found', async () => {
    writer.append('1\n')
    await reader.poll()
    await reader.restart(() => {
      for (const line of ['2\n', '3\n', '4\n']) {
        writer.append(line)
        writer.rename()
      }
    })
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3', '4'])
    expect(lost()).toEqual([])
  })

  it('same inode and content → told apart', async () => {
    writer.append('same\n'.repeat(3))
    await reader.poll()
    await reader.restart(() => {
      writer.remove()
      writer.create()
      writer.append('same\n'.repeat(5))
    })
    await reader.poll()
    expect(reader.lines).toHaveLength(8)
  })

  it('older and foreign files → ignored', async () => {
    writeFileSync(`${writer.path}.1`, 'old\n')
    await reader.poll()
    writer.append('1\n')
    writer.rename()
    writer.append('2\n')
    writeFileSync(`${writer.path}.bak`, 'no generation\n')
    await reader.poll()
    writeFileSync(`${writer.path}.9`, 'while nothing was rotated\n')
    await reader.poll()
    writer.rename()
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2'])
  })

  it('last line without end → read when nothing more comes', async () => {
    await reader.poll()
    writer.append('1\nhalf')
    writer.rename()
    await reader.poll()
    expect(reader.lines).toEqual(['1'])
    await reader.settle()
    expect(reader.lines).toEqual(['1', 'half'])
  })

  it('dates in names, matched by the pattern too → followed', async () => {
    reader = new LogReader([join(writer.directory, 'app*')])
    writer.append('1\n')
    await reader.poll()
    for (const [date, line] of [
      ['20261121', '2\n'],
      ['20261122', '3\n'],
    ]) {
      writer.append(line ?? '')
      renameSync(writer.path, `${writer.path}-${date}`)
      writer.create()
    }
    writer.append('4\n')
    await reader.poll()
    await reader.settle()
    expect(reader.lines).toEqual(['1', '2', '3', '4'])
  })

  it('compressed before it was polled → reported', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.rename()
    writer.append('2\n')
    writer.rename()
    // The file that was read may be compressed; one more can't be accounted for.
    unlinkSync(`${writer.path}.1`)
    writeFileSync(`${writer.path}.1.gz`, '')
    await reader.poll()
    expect(lost()).toMatchObject([{ level: 'warn', files: [`${writer.path}.1.gz`] }])
  })

  it('compressed after it was read → not reported', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.rename()
    writeFileSync(`${writer.path}.1.gz`, '')
    unlinkSync(`${writer.path}.1`)
    await reader.poll()
    writer.append('2\n')
    await reader.poll()
    // As with copytruncate and compress.
    renameSync(`${writer.path}.1.gz`, `${writer.path}.2.gz`)
    writeFileSync(`${writer.path}.1.gz`, '')
    writer.truncate()
    await reader.poll()
    expect(lost()).toEqual([])
  })

  it('deleted files → not held open', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.remove()
    await reader.poll()
    writer.create()
    await reader.poll()
    await reader.settle()
    const { readlinkSync, readdirSync } = await import('node:fs')
    const open = readdirSync('/proc/self/fd').flatMap((name) => {
      try {
        return [readlinkSync(`/proc/self/fd/${name}`)]
      } catch {
        return []
      }
    })
    expect(open.filter((path) => path.includes(writer.directory) && path.includes('deleted'))).toHaveLength(0)
  })
})

describe('truncation', () => {
  it('grown beyond the old position → detected', async () => {
    writer.append('first\n')
    await reader.poll()
    writer.truncate()
    writer.append('a much longer line than the first\nlast\n')
    await reader.poll()
    expect(reader.lines).toEqual(['first', 'a much longer line than the first', 'last'])
    expect(reader.notices).toMatchObject([{ event: 'log_truncated', level: 'info', file: writer.path }])
  })

  it('copied first → no line lost', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.append('2\n3')
    writer.copyAndTruncate()
    writer.append('4\n')
    await reader.poll()
    await reader.settle()
    expect(reader.lines.sort()).toEqual(['1', '2', '3', '4'])
    expect(reader.notices).toMatchObject([{ event: 'log_truncated', level: 'info', rest: `${writer.path}.1` }])
  })

  it('several copies → found', async () => {
    writer.append('1\n')
    await reader.poll()
    for (const line of ['2\n', '3\n', '4\n']) {
      writer.append(line)
      writer.copyAndTruncate()
    }
    writer.append('5\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3', '4', '5'])
  })

  it('copied during a poll → not read twice', async () => {
    writer.append('1\n')
    await reader.poll()
    writeFileSync(`${writer.path}.1`, '1\n')
    await reader.poll()
    writer.append('2\n')
    await reader.poll()
    writer.truncate()
    writer.append('3\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3'])
  })

  it('second copy in progress → not read twice', async () => {
    writer.append('1\n')
    await reader.poll()
    writer.copyAndTruncate()
    writer.append('2\n')
    writer.shift()
    writeFileSync(`${writer.path}.1`, '2\n')
    await reader.poll()
    writer.truncate()
    writer.append('3\n')
    await reader.poll()
    expect(reader.lines).toEqual(['1', '2', '3'])
  })

  it('older file → not mistaken for a copy', async () => {
    writeFileSync(`${writer.path}.1`, 'same\n'.repeat(5))
    utimesSync(`${writer.path}.1`, 1_000_000, 1_000_000)
    writer.append('same\n'.repeat(3))
    await reader.poll()
    writer.truncate()
    writer.append('same\n')
    await reader.poll()
    expect(reader.lines).toHaveLength(4)
  })

  it('unread lines lost → reported with their size', async () => {
    const text = `${'y'.repeat(99)}\n`.repeat(10_000)
    for (let part = 0; part < 20; part += 1) writer.append(text)
    await reader.poll()
    const read = reader.lines.length
    writer.truncate()
    writer.append('after\n')
    await reader.poll()
    expect(reader.lines.slice(read)).toEqual(['after'])
    expect(lost()).toMatchObject([{ level: 'warn', bytes: 20_000_000 - read * 100, file: writer.path }])
  })

  it('long after the last poll → reported with the time of the last poll', async () => {
    writer.append('1\n')
    await reader.poll()
    const since = new Date(reader.now).toISOString()
    writer.append('never seen\n')
    writer.truncate()
    writer.append('after\n')
    await reader.poll(5000)
    expect(reader.lines).toEqual(['1', 'after'])
    expect(lost()).toMatchObject([{ level: 'warn', since }])
  })

  it('during downtime → detected', async () => {
    writer.append('1\n')
    await reader.poll()
    await reader.restart(() => {
      writer.truncate()
      writer.append('longer than before\n')
    })
    await reader.poll(100_000)
    expect(reader.lines).toEqual(['1', 'longer than before'])
    expect(lost()).toHaveLength(1)
  })
})
