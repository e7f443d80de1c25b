import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { boundedLines } from './bounded-lines.ts'
import { parseEntry, timeOf } from './journal-entry.ts'

const entry = (fields: Record<string, unknown>): ReturnType<typeof parseEntry> =>
  parseEntry(JSON.stringify({ __CURSOR: 's=1;t=3e8', __REALTIME_TIMESTAMP: '1790000001234567', ...fields }))

it('journal entry: JSON → read', () => {
  expect(entry({ MESSAGE: 'hello', _SYSTEMD_UNIT: 'app.service', SYSLOG_IDENTIFIER: 'app', _UID: '0' })).toEqual({
    cursor: 's=1;t=3e8',
    at: 1_790_000_001_234,
    from: 'app.service',
    message: 'hello',
  })
  expect(entry({ MESSAGE: 'x', UNIT: 'app.service', _SYSTEMD_UNIT: 'init.scope' })?.from).toBe('app.service')
  expect(entry({ MESSAGE: 'x', SYSLOG_IDENTIFIER: 'kernel' })?.from).toBe('kernel')
})

it.each([
  ['bytes', [104, 105, 255], 'hi\uFFFD'],
  ['null', null, null],
  ['absent', undefined, null],
  ['no bytes', [], null],
  ['several', ['one', 'two'], 'one\ntwo'],
  ['several, some of them bytes or null', ['one', [104, 105], null], 'one\nhi'],
])('journal entry: message %s → read', (_, MESSAGE, message) => expect(entry({ MESSAGE })).toMatchObject({ message }))

it.each(['', 'text', '{}', '[]', '{"__CURSOR":"x"}', '{"__CURSOR":"","__REALTIME_TIMESTAMP":"1"}'])(
  'takes %j for none',
  (line) => expect(parseEntry(line)).toBeNull(),
)

it('journal cursor: time → read', () => {
  expect(timeOf('s=56;i=1f;b=a4;m=6ab13ba8;t=65bfedc883a00;x=4e')).toBe(1_790_000_040_000)
  expect(timeOf('nonsense')).toBeNull()
})

it('bounded lines: any length → read, too long ones dropped', async () => {
  const stream = new PassThrough()
  const lines: string[] = []
  let dropped = 0
  boundedLines(
    stream,
    10,
    (line) => lines.push(line),
    () => {
      dropped += 1
    },
  )
  for (const part of ['one\ntw', 'o\n\nüb', 'er\nmuch too', ' long, ', 'indeed\nlast\nno end']) stream.write(part)
  stream.end()
  await new Promise((resolve) => stream.once('close', resolve))
  expect(lines).toEqual(['one', 'two', '', 'über', 'last'])
  expect(dropped).toBe(1)
})
