import { readFile, stat } from 'node:fs/promises'
import { FILE_KEY, type Position, type Problem, problem } from './diagnostic.ts'

/** Size of a configuration file: the HCL parser becomes slow, and then crashes, on far larger ones. */
export const MAX_BYTES = 64 * 1024
/** Size of a file with many similar blocks, which takes some seconds to read. */
export const MAX_BYTES_OF_MANY = 1024 * 1024

const TOP: Position = { line: 1, column: 1 }
const characters = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** The text of a file, without byte order mark and with `\n` as line ends, with positions in it. */
export class Source {
  readonly text: string
  readonly #lineStarts: number[]

  constructor(text: string) {
    this.text = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')
    this.#lineStarts = [0, ...[...this.text.matchAll(/\n/g)].map((match) => match.index + 1)]
  }

  /** The line and column of an offset. Columns count characters as HashiCorp's parser does: by what a reader sees. */
  position(offset: number): Position {
    let [line, beyond] = [1, this.#lineStarts.length + 1]
    while (beyond - line > 1) {
      const middle = Math.floor((line + beyond) / 2)
      if ((this.#lineStarts[middle - 1] ?? 0) <= offset) line = middle
      else beyond = middle
    }
    const before = this.text.slice(this.#lineStarts[line - 1], offset)
    return { line, column: [...characters.segment(before)].length + 1 }
  }
}

/**
 * Reads a file.
 *
 * @param most bytes that it may hold
 * @returns its source; or, as a problem, why it can't be read; null when there is none
 */
export async function readSource(path: string, most = MAX_BYTES): Promise<Source | Problem | null> {
  try {
    const found = await stat(path)
    // Also keeps a named pipe from blocking forever.
    if (!found.isFile()) return problem(TOP, FILE_KEY, `is a ${found.isDirectory() ? 'directory' : 'special file'}`)
    return found.size > most ? tooLarge(most) : decode(await readFile(path), most)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return code === 'ENOENT' ? null : problem(TOP, FILE_KEY, `can't be read: ${code}`)
  }
}

/** The source in a file's bytes; or, as a problem, why there is none. */
export function decode(bytes: Uint8Array, most = MAX_BYTES): Source | Problem {
  if (bytes.length > most) return tooLarge(most)
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  const source = new Source(text)
  // Invalid bytes became U+FFFD: the encoded text then differs from the file, first where the file is wrong.
  const wrong = Buffer.from(text).findIndex((byte, index) => byte !== bytes[index])
  if (wrong !== -1) {
    const before = new TextDecoder().decode(bytes.subarray(0, wrong))
    return problem(new Source(before).position(before.length), FILE_KEY, 'is not UTF-8 text')
  }
  const nul = source.text.indexOf('\0')
  return nul === -1 ? source : problem(source.position(nul), FILE_KEY, 'holds a NUL character')
}

function tooLarge(most: number): Problem {
  return problem(TOP, FILE_KEY, `is larger than ${most / 1024} kB`)
}
