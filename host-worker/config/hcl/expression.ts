import type { SyntaxNode } from '@lezer/common'
import type { Source } from './source.ts'
import type { Field, TextPart, Value } from './tree.ts'

/** Said of everything that HCL would have to compute. */
export const NO_EXPRESSIONS =
  'expressions are not supported; only ${labels.x}, ${annotations.x} and ${value} in detectors.hcl'

/** The value of an `Expression` node, from literals alone: whatever needs computing is a broken value. */
export function evaluate(expression: SyntaxNode, source: Source): Value {
  const at = source.position(expression.from)
  const broken = (message: string): Value => ({ kind: 'broken', message, at })
  const [node, ...rest] = children(expression)
  const inner = node && rest.length === 0 ? children(node)[0] : undefined
  if (node === undefined || inner === undefined) return broken(NO_EXPRESSIONS)
  switch (inner.name) {
    case 'NumericLit':
    case 'UnaryOperation': {
      const digits = /^(-?)\s*([\d.]+(?:[eE][+-]?\d+)?)$/.exec(slice(inner, source))
      return digits ? numberValue(Number(`${digits[1]}${digits[2]}`), at, digits[2] ?? '') : broken(NO_EXPRESSIONS)
    }
    case 'BoolLit':
      return { kind: 'literal', value: slice(inner, source) === 'true', at }
    case 'NullLit':
      return { kind: 'literal', value: null, at }
    case 'StringLit':
    case 'QuotedTemplate': {
      const parts = textParts(inner, source)
      return typeof parts === 'string' ? broken(parts) : { kind: 'text', parts, at }
    }
    case 'HeredocTemplate': {
      const literal = heredoc(slice(inner, source))
      return literal === null
        ? broken('a heredoc may hold only plain text; write a quoted string')
        : { kind: 'text', parts: [{ literal }], at }
    }
    case 'Tuple':
      return { kind: 'list', items: named(inner, 'Expression').map((item) => evaluate(item, source)), at }
    case 'Object':
      return { kind: 'object', fields: named(inner, 'ObjectElem').map((field) => evaluateField(field, source)), at }
    default:
      return broken(NO_EXPRESSIONS)
  }
}

/** The children of a node, without comments. */
export function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) if (child.name !== 'Comment') found.push(child)
  return found
}

/** The children of a node that have a name. */
export function named(node: SyntaxNode, name: string): SyntaxNode[] {
  return children(node).filter((child) => child.name === name)
}

/** The text of a block's label, quoted or bare; null when it is no plain text. */
export function labelText(label: SyntaxNode, source: Source): string | null {
  const [quoted] = named(label, 'StringLit')
  if (quoted === undefined) return slice(label, source)
  const parts = textParts(quoted, source)
  return typeof parts === 'string' ? null : literalText(parts)
}

/** The text of the file at a node: also where a word was masked for the parser. */
export function slice(node: SyntaxNode, source: Source): string {
  return source.text.slice(node.from, node.to)
}

function evaluateField(node: SyntaxNode, source: Source): Field {
  const [key, , value] = children(node)
  const at = source.position(node.from)
  if (key === undefined || value === undefined) {
    return { name: null, at, value: { kind: 'broken', message: NO_EXPRESSIONS, at } }
  }
  return { name: keyName(named(key, 'Expression')[0] ?? key, source), at, value: evaluate(value, source) }
}

/** The name that an object's key is; null for computed ones such as `(a)`, `a.b` and `f(a)`. */
function keyName(expression: SyntaxNode, source: Source): string | null {
  const [word, ...rest] = children(expression)
  if (word?.name === 'VariableExpr' && rest.length === 0) return slice(word, source)
  const value = evaluate(expression, source)
  if (value.kind === 'literal') return slice(expression, source)
  return value.kind === 'text' ? literalText(value.parts) : null
}

function literalText(parts: TextPart[]): string | null {
  return parts.every((part) => 'literal' in part) ? parts.map((part) => part.literal).join('') : null
}

function numberValue(value: number, at: Value['at'], digits: string): Value {
  const broken = (message: string): Value => ({ kind: 'broken', message, at })
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return broken('the number is too large')
  if (value === 0 && /[1-9]/.test(digits.replace(/e.*$/i, ''))) return broken('the number is too small')
  return { kind: 'literal', value: value === 0 ? 0 : value, at }
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }

/** The parts of a quoted string, or what is wrong with it. */
function textParts(node: SyntaxNode, source: Source): TextPart[] | string {
  const raw = slice(node, source)
  // HCL's readers disagree about what three signs in a row mean.
  if (/\$\$\$+\{|%%%+\{/.test(raw)) return 'more than two "$" or "%" before a "{" are ambiguous'
  const parts: TextPart[] = []
  for (const child of children(node).slice(1, -1)) {
    const text = slice(child, source)
    if (child.name === 'TemplateInterpolation') parts.push({ expression: text.slice(2, -1).trim() })
    else if (child.name === 'TemplateLiteral') parts.push({ literal: unescaped(text) })
    else return NO_EXPRESSIONS
  }
  return parts
}

/** The text of literal source. Which escapes there are was checked by HashiCorp's parser. */
function unescaped(source: string): string {
  const text = source.replaceAll(
    /\\(?:([nrt"\\])|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|([$%])\4\{/g,
    (_, short: string | undefined, four: string | undefined, eight: string | undefined, sign: string | undefined) => {
      if (sign !== undefined) return `${sign}{`
      return short === undefined
        ? String.fromCodePoint(Number.parseInt(four ?? eight ?? '', 16))
        : (ESCAPES[short] ?? '')
    },
  )
  // HCL's strings are in this normal form whatever the file has.
  return text.normalize('NFC')
}

/** The text of a heredoc without interpolation, or null when it has one. */
function heredoc(raw: string): string | null {
  const body = raw.slice(raw.indexOf('\n') + 1, raw.lastIndexOf('\n') + 1)
  if (/(?<!\$)\$\{|(?<!%)%\{|\$\$\$|%%%/.test(body)) return null
  const lines = body
    .replaceAll(/([$%])\1\{/g, '$1{')
    .normalize('NFC')
    .split('\n')
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
  const shared = raw.startsWith('<<-') ? Math.min(...indents) : 0
  return lines.map((line) => (line.trim() === '' ? line : line.slice(shared))).join('\n')
}
