import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseHcl } from './parse.ts'
import { MAX_NESTING } from './scanner.ts'
import { decode, MAX_BYTES, Source } from './source.ts'
import type { Body, Value } from './tree.ts'

const parse = (text: string) => parseHcl(new Source(text))

/** A tree without its positions: attributes as values, blocks as `{labels, body}`. */
function plain(body: Body): unknown[] {
  return body.map((item) =>
    item.form === 'attribute'
      ? [item.name, plainValue(item.value)]
      : [item.name, { labels: item.labels.map(({ text }) => text), body: plain(item.body) }],
  )
}

function plainValue(value: Value): unknown {
  switch (value.kind) {
    case 'broken':
      return { broken: value.message }
    case 'literal':
      return value.value
    case 'text':
      return value.parts.map((part) => ('literal' in part ? part.literal : `<${part.expression}>`)).join('')
    case 'list':
      return value.items.map(plainValue)
    case 'object':
      return value.fields.map(({ name, value }) => [name, plainValue(value)])
  }
}

async function read(text: string): Promise<unknown> {
  const { body, problems } = parse(text)
  return problems.length > 0
    ? problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
    : plain(body ?? [])
}

describe('HCL', () => {
  test.each([
    ['empty', '', []],
    ['a comment without line end', '# nothing', []],
    [
      'comments everywhere',
      'a /* x */ = /* y */ 1 // z\n# b = 2\nb /* " */ "c" /* { */ { /* } */ }',
      [
        ['a', 1],
        ['b', { labels: ['c'], body: [] }],
      ],
    ],
    ['a byte order mark', '\uFEFFa = 1', [['a', 1]]],
    [
      'CRLF',
      'a = 1\r\nb = <<E\r\nx\r\nE\r\n',
      [
        ['a', 1],
        ['b', 'x\n'],
      ],
    ],
    [
      'keywords as names',
      'for = 1\nin = 2\nif = 3\nx { for = "5s" }\nfor "a" { }\nx for { }',
      [
        ['for', 1],
        ['in', 2],
        ['if', 3],
        ['x', { labels: [], body: [['for', '5s']] }],
        ['for', { labels: ['a'], body: [] }],
        ['x', { labels: ['for'], body: [] }],
      ],
    ],
    [
      'keywords as object keys',
      'a = { true = 1, for: 2, "in" = 3\n if = 4 }',
      [
        [
          'a',
          [
            ['true', 1],
            ['for', 2],
            ['in', 3],
            ['if', 4],
          ],
        ],
      ],
    ],
    [
      'numbers',
      'a = [0, -0, 007, - 1, 1.50, 1e3, 1E+2, 2.5e-3, 9007199254740991]',
      [['a', [0, 0, 7, -1, 1.5, 1000, 100, 0.0025, 9007199254740991]]],
    ],
    [
      'escapes',
      'a = "\\n\\r\\t\\"\\\\ \\u00e9\\U0001F600 $${x} %%{y} $ % $$ %% $x 100%"',
      [['a', '\n\r\t"\\ é😀 ${x} %{y} $ % $$ %% $x 100%']],
    ],
    ['escapes in labels', String.raw`a "\"b\"" { }`, [['a', { labels: ['"b"'], body: [] }]]],
    ['names of any letters', 'é-1 = "日本"', [['é-1', '日本']]],
    ['text in normal form', 'a = "e\u0301"', [['a', 'é']]],
    ['nested lists and objects', 'a = [[], {}, [{ b = [null, true] }],\n]', [['a', [[], [], [[['b', [null, true]]]]]]]],
    [
      'heredocs',
      'a = <<-E\n    x\n\n      $${y} "z" \\n\n  E\nb = <<E\n  x\nE\nc = <<E\nE\n',
      [
        ['a', 'x\n\n  ${y} "z" \\n\n'],
        ['b', '  x\n'],
        ['c', ''],
      ],
    ],
    ['heredoc whose end is behind U+0085, which is a space', 'a = <<-E\n  x\n\u0085  E\n', [['a', 'x\n']]],
    ['interpolation', 'a = "x ${ labels.y } ${value}"', [['a', 'x <labels.y> <value>']]],
    [
      'duplicates, for others to report',
      'a = 1\na = 2',
      [
        ['a', 1],
        ['a', 2],
      ],
    ],
  ])('%s → read', async (_, text, expected) => {
    expect(await read(text)).toEqual(expected)
  })

  test.each([
    ['numbers too large', 'a = 1e400', 'the number is too large'],
    ['whole numbers that lose digits', 'a = -9007199254740992', 'the number is too large'],
    ['numbers too small', 'a = 1.0e-400', 'the number is too small'],
    ['double signs', 'a = --1', 'expressions are not supported'],
    ['parentheses', 'a = (1)', 'expressions are not supported'],
    ['calls', 'a = f(1)', 'expressions are not supported'],
    ['references', 'a = b.c', 'expressions are not supported'],
    ['comprehensions', 'a = [for x in y : x]', 'expressions are not supported'],
    ['directives', 'a = "%{ if x }y%{ endif }"', 'expressions are not supported'],
    ['heredocs with interpolation', 'a = <<E\n${value}\nE\n', 'a heredoc may hold only plain text'],
    ['signs beyond two', 'a = "$$${value}"', 'more than two'],
    ['many directives', `a = "${'%{if x}'.repeat(9000)}"`, 'expressions are not supported'],
    ['many unary operators', `a = ${'!'.repeat(60_000)}true`, 'expressions are not supported'],
    ['many conditions', `a = ${'b?c:'.repeat(15_000)}d`, 'expressions are not supported'],
    ['many traversals', `a = b${'.c'.repeat(30_000)}`, 'expressions are not supported'],
  ])('%s → refused', async (_, text, message) => {
    expect(await read(text)).toEqual([['a', { broken: expect.stringContaining(message) }]])
  })
})

test('HCL: operators in keys → keys without a name, which their readers refuse', async () => {
  expect(await read('a = { !b = 1, -d = 2, (c) = 3 }')).toEqual([
    [
      'a',
      [
        [null, 1],
        [null, 2],
        [null, 3],
      ],
    ],
  ])
})

test('HCL: columns → count characters as a reader does', async () => {
  const { body } = parse('a = ["日本", "👩‍👩‍👧e\u0301", 1]')
  const value = body?.[0]?.form === 'attribute' ? body[0].value : null
  expect(value?.kind === 'list' && value.items.map(({ at }) => at.column)).toEqual([6, 12, 18])
  expect(await read('a = "👩‍👩‍👧e\u0301日" b = 1')).toEqual([expect.stringMatching(/^1:11 Missing newline/)])
})

test('HCL: several syntax errors → each once', async () => {
  const text = 'a = 1 b = 2\n[...]\nc = "open\nd = \ne = 1\n}'
  expect(await read(text)).toEqual([
    expect.stringMatching(/^1:7 Missing newline after argument/),
    expect.stringMatching(/^2:1 Argument or block definition required/),
    expect.stringMatching(/^3:10 Invalid multi-line string/),
    expect.stringMatching(/^4:5 Invalid expression/),
  ])
})

describe('hostile HCL', () => {
  test.each<[string, string, RegExp]>([
    ['brackets', `a = ${'['.repeat(60_000)}`, /^1:37 nested deeper than 32 levels$/],
    ['parentheses', `a = ${'('.repeat(60_000)}`, /^1:37 nested deeper/],
    ['blocks', 'a {\n'.repeat(15_000), /^33:3 nested deeper/],
    ['objects', `a = ${'{a='.repeat(20_000)}`, /nested deeper/],
    ['templates', `a = "${'${"'.repeat(20_000)}`, /nested deeper|too complicated|Invalid/],
    ['labels', `a${' b'.repeat(30_000)} {}`, /^1:19 a block has at most 8 labels/],
    ['an open string', `a = "${'\\"'.repeat(30_000)}`, /Unterminated template string/],
    ['an open comment', '/*'.repeat(30_000), /./],
    ['surrogates', String.raw`a = "\ud83d\ude00"`, /Invalid escape sequence/],
    ['a lone carriage return', 'a = 1\rb = 2', /Invalid character/],
    ['an end of a heredoc behind U+FEFF, which is no space', 'a = <<-E\n  x\n\ufeff  E\n', /Unterminated/],
    ['a lone carriage return in a heredoc', 'a = <<-E\n  K\repts\n  E\n', /Invalid character/],
  ])(
    '%s',
    async (_, text, error) => {
      expect(await read(text)).toEqual([expect.stringMatching(error)])
      expect(await read('a = 1')).toEqual([['a', 1]])
    },
    30_000,
  )

  test.each<[string, Uint8Array, object]>([
    ['a huge file', Buffer.alloc(MAX_BYTES + 1, ' '), { line: 1, column: 1, message: 'is larger than 64 kB' }],
    ['NUL', Buffer.from('a = 1\nb = \0'), { line: 2, column: 5, message: 'holds a NUL character' }],
    ['Latin-1', Buffer.from('a = 1\nb = "\xe9"', 'latin1'), { line: 2, column: 6, message: 'is not UTF-8 text' }],
    ['UTF-16', Buffer.from('\uFEFFa = 1', 'utf16le'), { line: 1, column: 1, message: 'is not UTF-8 text' }],
    ['a cut-off character', Buffer.from('é').subarray(0, 1), { line: 1, column: 1, message: 'is not UTF-8 text' }],
  ])('%s → refused', (_, bytes, problem) => {
    expect(decode(bytes)).toMatchObject(problem)
  })

  test('nested to the limit → read', async () => {
    const text = `a = ${'['.repeat(MAX_NESTING)}${']'.repeat(MAX_NESTING)}`
    expect(await read(text)).toEqual([['a', JSON.parse('['.repeat(MAX_NESTING) + ']'.repeat(MAX_NESTING))]])
  })
})

const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('$', '%', '{', '}', '"', '\\', '\n', '\r', '\t', '#', '/', '*', ' '),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  // Whether these are escapes is a question that has no good answer: they are refused.
  .map((text) =>
    text
      .replaceAll(/([$%])\1+\{/g, '$1{')
      .replaceAll('\0', '')
      .normalize('NFC'),
  )
  .map((text) => text.replaceAll(/([$%])\1+\{/g, '$1{'))
const number = fc
  .oneof(fc.maxSafeInteger(), fc.double({ min: -1e15, max: 1e15, noNaN: true }))
  .map((value) => value + 0 || 0)
const word = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,8}$/).filter((word) => word !== 'for')
const { literal } = fc.letrec<{ literal: unknown }>((tie) => ({
  literal: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    text,
    number,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('literal'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(word, text), tie('literal')), { maxLength: 4, selector: ([key]) => key })
      .map((fields) => ({ fields })),
  ),
}))
const style = fc.infiniteStream(fc.nat({ max: 3 }))

function print(value: unknown, next: () => number): string {
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value))
    return `[${value.map((item) => print(item, next)).join(next() === 0 ? ',\n' : ' , # x\n ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const { fields } = value as { fields: [string, unknown][] }
  const printed = fields.map(([key, value]) => {
    const bare = /^[a-z_][a-z0-9_-]*$/.test(key) && next() > 1
    return `${bare ? key : quote(key)} ${next() > 1 ? '=' : ':'} ${print(value, next)}`
  })
  return `{${printed.join(next() > 1 ? ', ' : '\n')}}`
}

function quote(text: string): string {
  return JSON.stringify(text)
    .replaceAll(/\\(.)/g, (pair, letter) => (letter === 'b' ? '\\u0008' : letter === 'f' ? '\\u000c' : pair))
    .replaceAll(/[$%](?=\{)/g, '$&$&')
}

function expected(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expected)
  if (typeof value !== 'object' || value === null) return value
  return (value as { fields: [string, unknown][] }).fields.map(([key, value]) => [key, expected(value)])
}

test('HCL: random literals → read back equal', async () => {
  const attributes = fc.uniqueArray(fc.tuple(word, literal), { selector: ([name]) => name, maxLength: 5 })
  const property = fc.asyncProperty(attributes, style, async (attributes, stream) => {
    const next = () => Number(stream.next().value)
    const lines = attributes.map(([name, value]) => `${name} = ${print(value, next)}\n`)
    expect(await read(lines.join(''))).toEqual(attributes.map(([name, value]) => [name, expected(value)]))
  })
  await fc.assert(property, { numRuns: 300 })
})
