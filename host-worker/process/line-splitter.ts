import type { Readable } from 'node:stream'

/** A line longer than this is handed over in pieces. */
const MAX_LINE_LENGTH = 64 * 1024

/** Calls `onLine` for each line of a text stream, without its end; also for a last one that has none. */
export function splitLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
    while (rest.length >= MAX_LINE_LENGTH) {
      onLine(rest.slice(0, MAX_LINE_LENGTH))
      rest = rest.slice(MAX_LINE_LENGTH)
    }
  })
  stream.on('close', () => {
    if (rest !== '') onLine(rest)
    rest = ''
  })
  // A child that crashes may break its pipe; its exit is reported elsewhere.
  stream.on('error', () => {})
}
