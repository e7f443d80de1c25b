import type { Readable } from 'node:stream'

/**
 * Calls `onLine` for each whole line of a stream; one that is longer than `most` bytes is dropped, which `onDropped` is
 * called for.
 */
export function boundedLines(
  stream: Readable,
  most: number,
  onLine: (line: string) => void,
  onDropped: () => void,
): void {
  let parts: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    let begin = 0
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', begin)) {
      add(chunk.subarray(begin, end))
      if (length > most) onDropped()
      else onLine(Buffer.concat(parts).toString('utf8'))
      parts = []
      length = 0
      begin = end + 1
    }
    add(chunk.subarray(begin))
  })

  function add(part: Buffer): void {
    length += part.length
    if (length > most) parts = []
    else parts.push(part)
  }
}
