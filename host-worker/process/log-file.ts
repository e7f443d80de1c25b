import { createWriteStream, mkdirSync, renameSync, statSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'

/** At this size a log file is set aside when it is opened the next time. */
const setAsideAtBytes = 10 * 1024 * 1024

/** A file of lines that grows at its end. */
export interface LogFile {
  write(line: string): void
  close(): Promise<void>
}

/** Opens a log file; a large one from before is kept as `FILE.1`. What can't be written is dropped. */
export function openLogFile(file: string): LogFile {
  mkdirSync(dirname(file), { recursive: true })
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size >= setAsideAtBytes) renameSync(file, `${file}.1`)
  const stream = createWriteStream(file, { flags: 'a' })
  // A full disk must not end the supervisor.
  stream.on('error', () => {})
  return {
    write: (line) => {
      if (stream.writable) stream.write(`${line}\n`)
    },
    close: () => closed(stream),
  }
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve()
    stream.once('close', resolve)
    stream.end()
  })
}
