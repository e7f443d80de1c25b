/** Arbitrary values, and their text: mostly right ones, sometimes with a mistake. */
import fc from 'fast-check'

/** Placeholders in a JSON text for what no JavaScript value can express. */
const RAW: Record<string, string> = {
  '"@huge"': '1e999',
  '"@long"': '9'.repeat(400),
  '"@deep"': `${'['.repeat(3000)}${']'.repeat(3000)}`,
  '"@objects"': `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`,
  '"@half"': '"\\ud800"',
  '"@proto"': '"__proto__"',
}

export const names = fc.constantFrom(
  'free',
  'typed',
  'thrice',
  'asked',
  'web-1',
  'web-2',
  'dc1',
  'database',
  'ci',
  'no',
  'short',
)
export const id = fc.uuid({ version: 7 })
export const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    '.',
    '..',
    '__proto__',
    'constructor',
    'toString',
    '\ud800',
    '\0',
    '💥',
    'e\u0301',
    '%',
    '%2f',
    '%zz',
    '*',
    ':id',
    'x'.repeat(3000),
  ),
)
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom('@huge', '@long', '@deep', '@objects', '@half', '@proto', null, true, -0, 1e308, 2 ** 53, [], {}, ''),
  fc.jsonValue({ maxDepth: 3 }),
  fc.record({ '@proto': fc.jsonValue({ maxDepth: 1 }) }),
  oddText,
)

/** Mostly what is right, sometimes what isn't. */
export function mostly<Value>(
  right: fc.Arbitrary<Value>,
  odd: fc.Arbitrary<unknown> = oddValue,
  weight = 19,
): fc.Arbitrary<unknown> {
  return fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: odd })
}

/** Mostly nothing. */
export function seldom<Value>(odd: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: odd })
}

export function print(value: unknown): string {
  const text = JSON.stringify(value) ?? ''
  return Object.entries(RAW).reduce((all, [placeholder, raw]) => all.replaceAll(placeholder, raw), text)
}

export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function change(text: string, { at, remove, insert }: { at: number; remove: number; insert: string }): string {
  const index = text.length === 0 ? 0 : at % text.length
  return text.slice(0, index) + insert + text.slice(index + remove)
}

export function corrupt(sent: Uint8Array, at: number, byte: number): Uint8Array {
  return sent.with(at % Math.max(sent.length, 1), byte)
}
