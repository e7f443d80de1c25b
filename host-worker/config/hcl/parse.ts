/**
 * Parses HCL's native syntax, as far as configuration files use it: blocks, arguments and literal values with the position
 * of each. Expressions are recognised and refused. The fuzz tests compare it with HashiCorp's own parser.
 *
 * @see https://github.com/hashicorp/hcl/blob/v2.23.0/hclsyntax/spec.md
 */
import { byPosition, type Problem, problem, SYNTAX_KEY } from './diagnostic.ts'
import { HclSyntaxError, MAX_NESTING, Scanner, type Template } from './scanner.ts'
import type { Source } from './source.ts'
import type { Attribute, Block, Body, Field, TextPart, Value } from './tree.ts'

const MAX_LABELS = 8
/** Lines with syntax errors that are reported in one file. */
const MAX_ERRORS = 20

/** The message for everything that HCL would have to compute. */
export const NO_EXPRESSIONS =
  'expressions are not supported; only ${labels.x}, ${labels["x"]}, ${annotations.x} and ${value} in detectors.hcl'

/** An HCL file as far as it could be read. */
export interface Hcl {
  /** Syntax errors, and the like, in the file's order. */
  problems: Problem[]
  /**
   * The content; null when the structure is uncertain. Where there are syntax errors, lines are left out: what is here is
   * right, but nothing can be said of what is missing.
   */
  body: Body | null
}

/**
 * Reads an HCL text into a tree of attributes and blocks with their positions; never throws on any text. Duplicates are
 * not reported: the tree has them all.
 *
 * A line with a syntax error is reported and left out, so that errors after it are found in the same run, unless it has an
 * open bracket: then the structure is uncertain.
 */
export function parseHcl(source: Source): Hcl {
  const lines = source.text.split('\n')
  const omitted = new Set<number>()
  const problems: Problem[] = []
  const result = (body: Body | null): Hcl => ({ problems: problems.sort(byPosition), body })
  while (omitted.size < MAX_ERRORS) {
    try {
      return result(new Parser(source, lines.join('\n'), omitted).file())
    } catch (error) {
      if (!(error instanceof HclSyntaxError)) throw error
      const at = source.position(error.offset)
      const line = lines[at.line - 1] ?? ''
      const isFirst = problems.length === 0
      const isCertain = isBalanced(line) && !omitted.has(at.line)
      // A bracket that seems wrong only after a line was left out is more likely a consequence than an error.
      if (isFirst || isCertain) problems.push(problem(at, SYNTAX_KEY, error.message))
      if (!isCertain) return result(null)
      omitted.add(at.line)
      lines[at.line - 1] = ' '.repeat(line.length)
    }
  }
  return result(null)
}

/** Whether a line can be left out without changing the structure. */
function isBalanced(line: string): boolean {
  let rest = line.replaceAll(/"(?:\\.|[^"\\])*"?|(?:#|\/\/).*/g, '').replaceAll(/[^()[\]{}]/g, '')
  for (let before = ''; before !== rest; ) {
    before = rest
    rest = rest.replaceAll(/\(\)|\[\]|\{\}/g, '')
  }
  return rest === '' && !/\/\*|\*\/|<</.test(line)
}

class Parser {
  readonly #source: Source
  readonly #omitted: ReadonlySet<number>
  readonly #scanner: Scanner
  #depth = 0

  /** @param text of the source, with the omitted lines (from 1) blank */
  constructor(source: Source, text: string, omitted: ReadonlySet<number>) {
    this.#source = source
    this.#omitted = omitted
    this.#scanner = new Scanner(text)
  }

  file(): Body {
    const body = this.#body()
    if (!this.#scanner.isAtEnd) this.#scanner.fail(ITEM_REQUIRED)
    return body
  }

  /** The items up to the end of the file, or to a closing brace. */
  #body(): Body {
    const scanner: Scanner = this.#scanner
    const body: Body = []
    for (;;) {
      scanner.skipLines()
      if (scanner.isAtEnd || scanner.next === '}') return body
      const item = this.#item()
      body.push(item)
      this.#endOfLine(item.form === 'block' ? 'block definition' : 'argument')
    }
  }

  #item(): Attribute | Block {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    const name = scanner.identifier()
    if (name === null) scanner.fail(/[\p{L}\p{N}\p{P}\p{S}]/u.test(scanner.next) ? ITEM_REQUIRED : INVALID_CHARACTER)
    scanner.skipSpace()
    if (scanner.next === '=' && !scanner.text.startsWith('==', scanner.offset)) return this.#attribute(name, start)
    const labels: Block['labels'] = []
    while (scanner.next !== '{') {
      if (labels.length === MAX_LABELS) scanner.fail(`a block has at most ${MAX_LABELS} labels`)
      const at = this.#at()
      const text = scanner.next === '"' ? labelOf(scanner.quoted()) : scanner.identifier()
      if (text === null) {
        if (labels.length === 0) scanner.fail(`${ITEM_REQUIRED} To set an argument, use the equals sign "=".`, start)
        scanner.fail(INVALID_BLOCK)
      }
      labels.push({ text, at })
      scanner.skipSpace()
    }
    return { form: 'block', name, at: this.#at(start), labels, body: this.#block() }
  }

  #attribute(name: string, start: number): Attribute {
    const scanner: Scanner = this.#scanner
    scanner.take('=')
    scanner.skipSpace()
    const value = this.#value('\n}')
    const at = this.#at(start)
    const { line: last } = this.#at()
    const isIncomplete = [...this.#omitted].some((line) => line >= at.line && line <= last)
    return { form: 'attribute', name, at, value: isIncomplete ? { kind: 'broken', message: null, at } : value }
  }

  /** A block's body in braces: on lines between them, or at most one argument on one line. */
  #block(): Body {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    scanner.take('{')
    this.#enter()
    scanner.skipSpace()
    let body: Body = []
    if (scanner.next === '\n') body = this.#body()
    else if (scanner.next !== '}' && !scanner.isAtEnd) {
      const item = this.#item()
      scanner.skipSpace()
      if (item.form === 'block' || (scanner.next !== '}' && !scanner.isAtEnd)) scanner.fail(SINGLE_LINE)
      body = [item]
    }
    if (!scanner.take('}')) scanner.fail(UNCLOSED_BLOCK, start)
    this.#depth -= 1
    return body
  }

  #endOfLine(what: string): void {
    const scanner: Scanner = this.#scanner
    scanner.skipSpace()
    if (scanner.isAtEnd || scanner.next === '\n') return
    if (what === 'argument' && !/[\p{L}\p{N}\p{P}\p{S}]/u.test(scanner.next)) scanner.fail(INVALID_CHARACTER)
    const subject = what === 'argument' ? 'An argument' : 'A block'
    scanner.fail(`Missing newline after ${what}; ${subject} definition must end with a newline.`)
  }

  /** A value, with what follows it up to one of `ends` if it is an expression. */
  #value(ends: string): Value {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    const value = this.#literal()
    if (value !== null) {
      scanner.skipSpace()
      if (!OPERATOR.test(scanner.text.slice(scanner.offset, scanner.offset + 3))) return value
    }
    const isExpression = value !== null || /[(!-]/.test(scanner.next) || scanner.identifier() !== null
    if (!isExpression)
      scanner.fail(/^[\n\p{L}\p{N}\p{P}\p{S}]?$/u.test(scanner.next) ? INVALID_EXPRESSION : INVALID_CHARACTER)
    scanner.skipExpression(ends)
    return { kind: 'broken', message: NO_EXPRESSIONS, at: this.#at(start) }
  }

  /** A literal value; null, with nothing taken, when there is none. */
  #literal(): Value | null {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    const at = this.#at()
    switch (scanner.next) {
      case '"':
        return textOf(scanner.quoted(), at)
      case '[':
        return this.#list(at)
      case '{':
        return this.#object(at)
      case '<': {
        const text = scanner.heredoc()
        return text === null ? null : heredocOf(text, at)
      }
      default: {
        const isNegative = scanner.take('-')
        if (isNegative) scanner.skipSpace()
        const digits = scanner.number()
        if (digits !== null) return numberOf(isNegative ? -Number(digits) : Number(digits), digits, at)
        const word = isNegative ? null : scanner.identifier()
        if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true', at }
        if (word === 'null') return { kind: 'literal', value: null, at }
        scanner.offset = start
        return null
      }
    }
  }

  #list(at: Value['at']): Value {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    scanner.take('[')
    this.#enter()
    const items: Value[] = []
    for (;;) {
      scanner.skipLines()
      if (scanner.take(']')) break
      if (items.length === 0 && this.#isComprehension()) return this.#skipComprehension(start, at)
      if (scanner.isAtEnd)
        scanner.fail('Unterminated tuple constructor expression; There is no closing bracket.', start)
      items.push(this.#value(',]'))
      scanner.skipLines()
      if (!scanner.take(',') && scanner.next !== ']') {
        scanner.fail('Missing item separator; Expected a comma to mark the beginning of the next item.')
      }
    }
    this.#depth -= 1
    return { kind: 'list', items, at }
  }

  #object(at: Value['at']): Value {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    scanner.take('{')
    this.#enter()
    const fields: Field[] = []
    for (;;) {
      scanner.skipLines()
      if (scanner.take('}')) break
      if (fields.length === 0 && this.#isComprehension()) return this.#skipComprehension(start, at)
      if (scanner.isAtEnd) scanner.fail('Unterminated object constructor expression; There is no closing brace.', start)
      fields.push(this.#field())
      scanner.skipSpace()
      if (!scanner.take(',') && scanner.next !== '\n' && scanner.next !== '}') {
        scanner.fail(
          'Missing attribute separator; Expected a newline or comma to mark the beginning of the next attribute.',
        )
      }
    }
    this.#depth -= 1
    return { kind: 'object', fields, at }
  }

  #field(): Field {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    const at = this.#at()
    const word = scanner.identifier()
    let name: string | null = word
    if (word === null) {
      const key = this.#literal()
      const isName = key?.kind === 'literal' || key?.kind === 'text'
      name = key?.kind === 'text' ? literalOf(key.parts) : isName ? scanner.text.slice(start, scanner.offset) : null
      if (key === null && !/[(!-]/.test(scanner.next)) scanner.fail(INVALID_EXPRESSION)
    }
    scanner.skipSpace()
    if (!/[=:]/.test(scanner.next)) {
      scanner.skipExpression('=:\n,}')
      name = null
    }
    // A comparison as a key, and no separator yet.
    while (scanner.text.startsWith('==', scanner.offset)) {
      scanner.offset += 2
      scanner.skipExpression('=:\n,}')
      name = null
    }
    if (!scanner.take('=') && !scanner.take(':')) {
      scanner.fail('Missing attribute value; Expected an attribute value, introduced by an equals sign ("=").')
    }
    scanner.skipSpace()
    return { name, at, value: this.#value(',\n}') }
  }

  #isComprehension(): boolean {
    const scanner: Scanner = this.#scanner
    const start = scanner.offset
    const isFor = scanner.identifier() === 'for'
    scanner.offset = start
    return isFor
  }

  #skipComprehension(start: number, at: Value['at']): Value {
    this.#depth -= 1
    this.#scanner.offset = start
    this.#scanner.skipExpression(',\n}])')
    return { kind: 'broken', message: NO_EXPRESSIONS, at }
  }

  #enter(): void {
    this.#depth += 1
    if (this.#depth > MAX_NESTING) this.#scanner.failTooDeep(this.#scanner.offset - 1)
  }

  #at(offset = this.#scanner.offset): Value['at'] {
    return this.#source.position(offset)
  }
}

/** What continues a value to an expression. */
const OPERATOR = /^(?:[-+*%?.[(<>]|&&|\|\||==|!=|\/(?![/*]))/

const ITEM_REQUIRED = 'Argument or block definition required; An argument or block definition is required here.'
const INVALID_CHARACTER = 'Invalid character; This character is not used within the language.'
const INVALID_EXPRESSION =
  'Invalid expression; Expected the start of an expression, but found an invalid expression token.'
const INVALID_BLOCK =
  'Invalid block definition; A block definition must have block content delimited by "{" and "}", starting on the same line as the block header.'
const SINGLE_LINE =
  'Invalid single-argument block definition; A block on one line holds at most one argument, and no block: write it on several lines.'
const UNCLOSED_BLOCK =
  'Unclosed configuration block; There is no closing brace for this block before the end of the file.'

function textOf({ parts, isAmbiguous }: Template, at: Value['at']): Value {
  if (isAmbiguous) return { kind: 'broken', message: 'more than two "$" or "%" before a "{" are ambiguous', at }
  const known = parts.filter((part): part is TextPart => !('directive' in part))
  if (known.length < parts.length) return { kind: 'broken', message: NO_EXPRESSIONS, at }
  return { kind: 'text', parts: known.map(normalized), at }
}

function heredocOf({ parts: [part] }: Template, at: Value['at']): Value {
  if (part !== undefined && 'literal' in part) return { kind: 'text', parts: [normalized(part)], at }
  return { kind: 'broken', message: 'a heredoc may hold only plain text; write a quoted string', at }
}

/** HCL's values are in normal form C whatever the file has; its labels are as they are written. */
function normalized(part: TextPart): TextPart {
  return 'literal' in part ? { literal: part.literal.normalize('NFC') } : part
}

/** The text of a template without interpolation; null when it has one. */
function literalOf(parts: readonly TextPart[]): string | null {
  return parts.every((part) => 'literal' in part) ? parts.map((part) => part.literal).join('') : null
}

function labelOf(template: Template): string | null {
  const known = template.parts.filter((part): part is TextPart => !('directive' in part))
  return known.length < template.parts.length || template.isAmbiguous ? null : literalOf(known)
}

function numberOf(value: number, digits: string, at: Value['at']): Value {
  const broken = (message: string): Value => ({ kind: 'broken', message, at })
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return broken('the number is too large')
  if (value === 0 && /[1-9]/.test(digits.replace(/e.*$/i, ''))) return broken('the number is too small')
  return { kind: 'literal', value: value === 0 ? 0 : value, at }
}
