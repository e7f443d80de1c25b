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

/** The text of a quoted string or bare word, or null when it holds anything but plain text. */
export function plainText(node: SyntaxNode, source: Source): string | null {
  const quoted = node.name === 'StringLit' ? node : node.getChild('StringLit')
  if (quoted === null) return slice(node, source)
  const parts = textParts(quoted, source)
  if (typeof parts === 'string') return null
  return parts.every((part) => 'literal' in part) ? parts.map((part) => part.literal).join('') : null
}

/** What the file has at a node: also where a word was masked for the parser. */
export function slice(node: SyntaxNode, source: Source): string {
  return source.text.slice(node.from, node.to)
}

function evaluateField(node: SyntaxNode, source: Source): Field {
  const [key, , value] = children(node)
  const at = source.position(node.from)
  if (key === undefined || value === undefined) {
    return { name: null, at, value: { kind: 'broken', message: NO_EXPRESSIONS, at } }
  }
  // `(a)`, `a.b` and `f(a)` are computed keys.
  const expression = named(key, 'Expression')[0] ?? key
  const word = named(expression, 'VariableExpr')[0] ?? named(expression, 'LiteralValue')[0]
  const name = word && children(expression).length === 1 ? plainText(word, source) : null
  return { name, at, value: evaluate(value, source) }
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
    else if (child.name !== 'TemplateLiteral') return NO_EXPRESSIONS
    else {
      const literal = unescape(text)
      if (literal === null) return 'holds an escape that is no character'
      parts.push({ literal })
    }
  }
  return parts
}

function unescape(text: string): string | null {
  let valid = true
  const literal = text.replaceAll(
    /\\(?:([nrt"\\])|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|([$%])\4\{/g,
    (_, short: string | undefined, four: string | undefined, eight: string | undefined, sign: string | undefined) => {
      if (short !== undefined) return ESCAPES[short] ?? ''
      if (sign !== undefined) return `${sign}{`
      const code = Number.parseInt(four ?? eight ?? '', 16)
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) valid = false
      return valid ? String.fromCodePoint(code) : ''
    },
  )
  // HCL's strings are in this normal form whatever the file has.
  return valid ? literal.normalize('NFC') : null
}

/** The text of a heredoc without interpolation, or null when it has one. */
function heredoc(raw: string): string | null {
  const [, flush, body = ''] = /^<<(-?)[^\n]*\n([^]*?)[^\n]*$/.exec(raw) ?? []
  if (/(?<!\$)\$\{|(?<!%)%\{|\$\$\$|%%%/.test(body)) return null
  const text = body.replaceAll(/([$%])\1\{/g, '$1{').normalize('NFC')
  if (flush !== '-') return text
  const indents = text.split('\n').filter((line) => line.trim() !== '').map((line) => /^\s*/.exec(line)?.[0].length ?? 0)
  const shared = Math.min(...indents)
  return text.split('\n').map((line) => (line.trim() === '' ? line : line.slice(shared))).join('\n')
}
