import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { splitLines } from './line-splitter.ts'

async function linesOf(chunks: (string | Buffer)[]): Promise<string[]> {
  const lines: string[] = []
  const stream = Readable.from(chunks, { objectMode: false })
  splitLines(stream, (line) => lines.push(line))
  await new Promise((resolve) => stream.once('close', resolve))
  return lines
}

test('lines: several chunks → joined, last one without end kept', async () => {
  expect(await linesOf(['a\nb', 'c\r\n\nd'])).toEqual(['a', 'bc', '', 'd'])
})

test('lines: split character → whole', async () => {
  const bytes = Buffer.from('grün\n')
  expect(await linesOf([bytes.subarray(0, 3), bytes.subarray(3)])).toEqual(['grün'])
})

test('lines: no end → in pieces', async () => {
  const lines = await linesOf(['x'.repeat(150_000)])
  expect(lines.length).toBeGreaterThan(1)
  expect(lines.join('')).toBe('x'.repeat(150_000))
})
