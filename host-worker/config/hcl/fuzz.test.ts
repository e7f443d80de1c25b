/** Any text at all as a configuration file: it is read or refused, in time, and each mistake is at the position it gives. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { coordinatorSchema, detectorsSchema, workerSchema, workflowSchema } from '../../../shared/config.ts'
import { loadFile } from '../load-file.ts'
import { parseHcl } from './parse.ts'
import { decode, Source } from './source.ts'
import { isTemplateExpression } from './template.ts'
import { disagreement } from './testing/agreement.ts'
import { consult, type SyntaxDiagnostic, type Verdict } from './testing/reference-parser.ts'
import type { Body, Value } from './tree.ts'

const RUNS = Number(process.env.RESILE_FUZZ_RUNS ?? 300)
/** How long reading one file may take. */
const READ_TIMEOUT_MS = 20_000
const SCHEMAS = {
  coordinator: coordinatorSchema,
  workflow: workflowSchema,
  worker: workerSchema,
  detectors: detectorsSchema,
} as const
type Kind = keyof typeof SCHEMAS

const testdata = join(import.meta.dirname, '../testdata')
const kinds = Object.keys(SCHEMAS) as Kind[]
const samples = await Promise.all(
  kinds.map(async (kind) => {
    const names = await readdir(join(testdata, kind))
    return Promise.all(names.map(async (name) => ({ kind, text: await readFile(join(testdata, kind, name), 'utf8') })))
  }),
)

const KEYS = [...new Set(samples.flat().flatMap(({ text }) => text.match(/[a-z_]+/g) ?? []))]
const odd = fc.oneof(
  fc.constantFrom(
    '"',
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    '=',
    ',',
    '\n',
    '\r',
    '\r\n',
    '\t',
    '#',
    '//',
    '/*',
    '*/',
    '<<E\n',
    '<<-E\n',
    'E\n',
    '\\',
    '\\u',
    '\\U0010FFFF',
  ),
  fc.constantFrom(
    '${',
    '%{',
    '$${',
    '}',
    '...',
    '=>',
    '==',
    '?',
    ':',
    '!',
    '-',
    '1e999',
    '1e-999',
    '9'.repeat(400),
    '0x1',
    'null',
    'true',
    'for',
    'in',
    'if',
  ),
  fc.constantFrom(
    '\0',
    '\ufeff',
    '\u2028',
    '💥',
    'e\u0301',
    '\u202e',
    'x'.repeat(2000),
    '['.repeat(50),
    '{\n'.repeat(50),
    '"__proto__"',
    '__proto__',
    'constructor',
  ),
  fc.constantFrom(...KEYS),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const edit = fc.record({ at: fc.nat(), remove: fc.oneof(fc.nat(3), fc.nat(40)), insert: odd })

/** A file that is used as a sample, with some changes of its text, or two of its lines exchanged. */
const mutated = fc
  .tuple(
    fc.constantFrom(...samples.flat()),
    fc.array(edit, { maxLength: 5 }),
    fc.option(fc.tuple(fc.nat(), fc.nat()), { freq: 2 }),
  )
  .map(([{ kind, text }, edits, swapped]) => {
    const lines = text.split('\n')
    if (swapped !== null) {
      const [a, b] = [swapped[0] % lines.length, swapped[1] % lines.length]
      const [first = '', second = ''] = [lines[a], lines[b]]
      lines[a] = second
      lines[b] = first
    }
    return { kind, text: edits.reduce(change, lines.join('\n')) }
  })
const arbitrary = fc.record({
  kind: fc.constantFrom(...kinds),
  text: fc.array(odd, { maxLength: 30 }).map((parts) => parts.join('')),
})
const spaced = fc.record({
  kind: fc.constantFrom(...kinds),
  text: fc.array(odd, { maxLength: 30 }).map((parts) => parts.join(' ')),
})
const bytes = fc
  .oneof({ weight: 8, arbitrary: mutated }, { weight: 2, arbitrary }, { weight: 2, arbitrary: spaced })
  .chain(({ kind, text }) =>
    fc
      .option(fc.tuple(fc.nat(), fc.nat(255)), { freq: 2 })
      .map((wrong) => ({ kind, bytes: corrupt(new TextEncoder().encode(text), wrong) })),
  )

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resile-fuzz-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('fuzz: configuration files', { timeout: 60_000 + RUNS * 100 }, async () => {
  let done = 0
  const seen = { content: 0, problems: 0 }
  const property = fc.asyncProperty(bytes, async ({ kind, bytes }) => {
    const path = join(folder, 'file.hcl')
    await writeFile(path, bytes)
    const began = performance.now()
    const { problems, content } = await loadFile(path, 'file.hcl', SCHEMAS[kind], kind, true)
    expect(performance.now() - began).toBeLessThan(READ_TIMEOUT_MS)
    expect(content === null).toBe(problems.length > 0)
    const lines = new TextDecoder().decode(bytes).split('\n')
    for (const { file, line, column, key, message } of problems) {
      expect(file).toBe('file.hcl')
      expect(line).toBeGreaterThanOrEqual(1)
      expect(line).toBeLessThanOrEqual(lines.length)
      expect(column).toBeGreaterThanOrEqual(1)
      // Just behind the line's end is where something is missing.
      expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1)
      expect(key).not.toBe('')
      expect(message).not.toBe('')
    }
    seen[content === null ? 'problems' : 'content'] += 1
    done += 1
    if (done % 2000 === 0) console.log(`fuzz: ${done} of ${RUNS} files`)
  })
  // Of a failure some counterexample is shown, if not the smallest.
  await fc.assert(property, {
    numRuns: RUNS,
    interruptAfterTimeLimit: 50_000 + RUNS * 100,
    markInterruptAsFailure: true,
  })
  console.log(`fuzz: files: ${seen.content} read, ${seen.problems} refused`)
  expect(seen.content).toBeGreaterThan(RUNS < 100 ? -1 : 0)
})

// HashiCorp's own parser is the oracle: what it refuses must be refused, and what both read must be the same.
test('our parser: any text → reads nothing that the reference refuses or reads differently', {
  timeout: 60_000 + RUNS * 100,
}, async () => {
  const seen = { read: 0, refused: 0 }
  const property = fc.asyncProperty(bytes, async ({ bytes }) => {
    const source = decode(bytes)
    if (!(source instanceof Source)) return
    const { problems, body } = parseHcl(source)
    const isRead = problems.length === 0 && body !== null && !isRefused(body)
    const reference = await consult(source.text)
    if (reference.kind === 'wrong' && reference.diagnostics.some((found) => isNewLetter(source.text, found))) return
    expect(objectionTo(isRead ? body : null, problems.length > 0, reference)).toBeNull()
    seen[isRead ? 'read' : 'refused'] += 1
  })
  await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: 50_000 + RUNS * 100 })
  console.log(`fuzz: HCL texts: ${seen.read} read, ${seen.refused} refused`)
})

/** What the reference has against our reading (null: refused, for syntax or for what is not supported); null when nothing. */
function objectionTo(body: Body | null, isSyntaxError: boolean, reference: Verdict): unknown {
  if (body === null) return isSyntaxError && reference.kind === 'read' ? 'it reads what we refuse' : null
  if (reference.kind === 'read') return disagreement(body, reference.json)
  // Duplicates, and blocks with and without a label, are reported by those who read the tree.
  const others = reference.kind === 'wrong' ? reference.diagnostics.filter(({ summary }) => summary !== DUPLICATE) : []
  return others[0] ?? null
}

/** Whether the reference refuses a letter of a newer version of Unicode than its own. */
function isNewLetter(text: string, { line, column, summary }: SyntaxDiagnostic): boolean {
  const before = [...new Intl.Segmenter('en').segment(text.split('\n')[line - 1] ?? '')]
  return summary === 'Invalid character' && /^[\p{ID_Continue}]/u.test(before[column - 1]?.segment ?? '')
}

const DUPLICATE = 'Attribute redefined'

/** Whether a value is broken somewhere: it is reported as unsupported whatever it means. */
function isRefused(body: Body): boolean {
  const isBroken = (value: Value): boolean =>
    value.kind === 'broken' ||
    (value.kind === 'text' &&
      value.parts.some((part) => 'expression' in part && !isTemplateExpression(part.expression))) ||
    (value.kind === 'list' && value.items.some(isBroken)) ||
    (value.kind === 'object' && value.fields.some((field) => field.name === null || isBroken(field.value)))
  return body.some((item) => (item.form === 'block' ? isRefused(item.body) : isBroken(item.value)))
}

function change(text: string, { at, remove, insert }: { at: number; remove: number; insert: string }): string {
  const index = text.length === 0 ? 0 : at % text.length
  return text.slice(0, index) + insert + text.slice(index + remove)
}

/** Mostly what it was. */
function corrupt(bytes: Uint8Array, wrong: [number, number] | null): Uint8Array {
  if (wrong === null || wrong[1] > 25 || bytes.length === 0) return bytes
  return bytes.with(wrong[0] % bytes.length, wrong[1] * 10)
}
