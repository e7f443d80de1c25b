/**
 * Reads the tokens of HCL's native syntax that configuration files use, at an offset of the text.
 *
 * @see https://github.com/hashicorp/hcl/blob/v2.23.0/hclsyntax/spec.md
 */

/** The first syntax error of a text; the message is in the words of HashiCorp's parser. */
export class HclSyntaxError extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** A quoted string or heredoc: literal text and the insides of `${…}`; `directive` when it has a `%{…}`. */
export interface Template {
  parts: ({ literal: string } | { expression: string } | { directive: string })[]
  /** Whether it has `$${` or `%%{` with more signs, which HCL's parsers read differently. */
  isAmbiguous: boolean
}

/** A line that may end a heredoc. What Go takes for space is not what trim() does: U+0085 is, U+FEFF is none. */
const MARKER = /^(?<before>\p{White_Space}*)(?<marker>.*?)\p{White_Space}*$/u
const SPACE = /(?:[ \t]|\/\*[\s\S]*?\*\/)*/y
const LINE_COMMENT = /(?:#|\/\/)[^\n]*/y
const IDENTIFIER = /[\p{ID_Start}_][\p{ID_Continue}-]*/uy
const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const HEREDOC = /<<-?([\p{ID_Start}_][\p{ID_Continue}-]*)\n/uy
const ESCAPE = /\\(?:[nrt"\\]|u[\da-fA-F]{4}|U[\da-fA-F]{8})/y
const ODD_INDENT = /^[ \t]*(?![ \t])[\p{White_Space}\uFEFF]/u
const SHORT_ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }

/** How deeply brackets, and templates, may be nested: they are read recursively. */
export const MAX_NESTING = 32

const UNTERMINATED = 'Unterminated template string; No closing marker was found for the string.'

/** A position in a text that moves forward as it reads. */
export class Scanner {
  readonly text: string
  offset = 0
  #templates = 0

  constructor(text: string) {
    this.text = text
  }

  /** The character at the offset; empty at the end. */
  get next(): string {
    return this.text.charAt(this.offset)
  }

  get isAtEnd(): boolean {
    return this.offset >= this.text.length
  }

  /** Fails at an offset, by default the present one. */
  fail(message: string, offset = this.offset): never {
    throw new HclSyntaxError(offset, message)
  }

  /** Fails because of too many levels of brackets. */
  failTooDeep(offset = this.offset): never {
    this.fail(`nested deeper than ${MAX_NESTING} levels`, offset)
  }

  /** Skips spaces and comments within a line, and a comment at its end. */
  skipSpace(): void {
    this.#match(SPACE)
    this.#match(LINE_COMMENT)
    if (this.text.startsWith('/*', this.offset)) this.fail(UNTERMINATED)
  }

  /** Skips spaces, comments and line ends. */
  skipLines(): void {
    do this.skipSpace()
    while (this.take('\n'))
  }

  /** Takes a text if it is next. */
  take(text: string): boolean {
    if (!this.text.startsWith(text, this.offset)) return false
    this.offset += text.length
    return true
  }

  /** Takes an identifier; null when there is none. */
  identifier(): string | null {
    return this.#match(IDENTIFIER)
  }

  /** Takes a number without its sign; null when there is none. */
  number(): string | null {
    return this.#match(NUMBER)
  }

  /** Takes a quoted string; its opening quote is next. */
  quoted(): Template {
    const start = this.offset
    const parts: Template['parts'] = []
    let literal = ''
    this.take('"')
    while (!this.take('"')) {
      if (this.isAtEnd) this.fail(UNTERMINATED, start)
      if (this.next === '\n' || this.next === '\r') {
        this.fail(
          'Invalid multi-line string; Quoted strings may not be split over multiple lines. Write \\n, or a heredoc.',
        )
      }
      const sign = this.#interpolation()
      if (sign !== null) {
        parts.push({ literal }, sign)
        literal = ''
      } else literal += this.next === '\\' ? this.#escape() : this.#literalCharacter()
    }
    const raw = this.text.slice(start, this.offset)
    return {
      parts: [...parts, { literal }].filter((part) => !('literal' in part) || part.literal !== ''),
      isAmbiguous: /\$\$\$+\{|%%%+\{/.test(raw),
    }
  }

  /** Takes a heredoc; null when none is next. */
  heredoc(): Template | null {
    const start = this.offset
    const opening = this.#match(HEREDOC)
    if (opening === null) return null
    const isIndented = opening.startsWith('<<-')
    const marker = opening.slice(isIndented ? 3 : 2, -1)
    const lines: string[] = []
    for (;;) {
      const end = this.text.indexOf('\n', this.offset)
      const line = this.text.slice(this.offset, end === -1 ? undefined : end)
      const lone = line.indexOf('\r')
      if (lone !== -1) this.fail('Invalid character; A carriage return alone ends no line.', this.offset + lone)
      const found = MARKER.exec(line)?.groups
      if (found?.['marker'] === marker) {
        this.offset += (found['before'] ?? '').length + marker.length
        break
      }
      if (end === -1) this.fail(UNTERMINATED, start)
      lines.push(line)
      this.offset = end + 1
    }
    const body = lines.map((line) => `${line}\n`).join('')
    if (/(?<!\$)\$\{|(?<!%)%\{|\$\$\$|%%%/.test(body)) return { parts: [{ directive: body }], isAmbiguous: false }
    // Of other spaces than these, HCL's readers disagree whether they are indentation.
    if (lines.some((line) => ODD_INDENT.test(line))) return { parts: [{ directive: body }], isAmbiguous: false }
    const plain = lines.map((line) => line.replaceAll(/([$%])\1\{/g, '$1{'))
    const indents = plain.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
    const shared = isIndented ? Math.min(...indents) : 0
    const text = plain.map((line) => `${line.trim() === '' ? line : line.slice(shared)}\n`).join('')
    return { parts: [{ literal: text }], isAmbiguous: false }
  }

  /** Skips the rest of an expression that is not evaluated: up to what ends it outside of all brackets. */
  skipExpression(ends: string): void {
    const open: string[] = []
    for (;;) {
      this.#match(SPACE)
      if (this.isAtEnd) {
        if (open.length > 0)
          this.fail('Unterminated expression; There is no closing bracket before the end of the file.')
        return
      }
      const { next } = this
      if (open.length === 0 && (ends.includes(next) || this.#match(LINE_COMMENT) !== null)) return
      if (open.length > 0 && this.#match(LINE_COMMENT) !== null) continue
      if (next === '"') this.quoted()
      else if (this.heredoc() === null) {
        const closing = { '(': ')', '[': ']', '{': '}' }[next]
        if (closing !== undefined) {
          if (open.push(closing) > MAX_NESTING) this.failTooDeep()
        } else if (')]}'.includes(next) && open.pop() !== next)
          this.fail('Invalid expression; A bracket is not closed.')
        this.offset += next.length
      }
    }
  }

  /** Takes a `${…}` or `%{…}`; null when none is next. */
  #interpolation(): Template['parts'][number] | null {
    const { next } = this
    if ((next !== '$' && next !== '%') || this.text.charAt(this.offset + 1) !== '{') return null
    this.#templates += 1
    if (this.#templates > MAX_NESTING) this.failTooDeep()
    this.offset += 2
    const start = this.offset
    this.skipExpression('}')
    this.#templates -= 1
    const inside = this.text.slice(start, this.offset).replaceAll(/^[ \t\n]+|[ \t\n]+$/g, '')
    if (!this.take('}')) this.fail(UNTERMINATED, start - 2)
    return next === '$' ? { expression: inside } : { directive: inside }
  }

  #literalCharacter(): string {
    for (const sign of ['$', '%']) if (this.take(`${sign}${sign}{`)) return `${sign}{`
    const code = this.text.codePointAt(this.offset) ?? 0
    const character = String.fromCodePoint(code)
    this.offset += character.length
    return character
  }

  #escape(): string {
    const start = this.offset
    const sequence = this.#match(ESCAPE)
    const code = sequence === null ? null : Number.parseInt(sequence.slice(2), 16)
    const isShort = sequence?.length === 2
    if (
      sequence === null ||
      (!isShort && code !== null && (code > 0x10_ff_ff || (code >= 0xd8_00 && code <= 0xdf_ff)))
    ) {
      this.fail('Invalid escape sequence; A backslash in a quoted string must begin an escape sequence.', start)
    }
    return isShort ? (SHORT_ESCAPES[sequence.charAt(1)] ?? '') : String.fromCodePoint(code ?? 0)
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.offset
    const found = pattern.exec(this.text)?.[0]
    if (found === undefined) return null
    this.offset += found.length
    return found
  }
}
