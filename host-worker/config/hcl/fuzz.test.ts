/** Any text at all as a configuration file: it is read or refused, in time, and each mistake stands where it says. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { coordinatorSchema, detectorsSchema, workerSchema, workflowSchema } from '../../../shared/config.ts'
import { loadFile } from '../load-file.ts'

const RUNS = Number(process.env.RESILE_FUZZ_RUNS ?? 300)
/** Most milliseconds for one file; a grammar that gives up does so after three seconds. */
const PATIENCE = 20_000
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

test('files', { timeout: 60_000 + RUNS * 100 }, async () => {
  let done = 0
  const seen = { content: 0, problems: 0 }
  const property = fc.asyncProperty(bytes, async ({ kind, bytes }) => {
    const path = join(folder, 'file.hcl')
    await writeFile(path, bytes)
    const began = performance.now()
    const { problems, content } = await loadFile(path, 'file.hcl', SCHEMAS[kind], kind, true)
    expect(performance.now() - began).toBeLessThan(PATIENCE)
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

function change(text: string, { at, remove, insert }: { at: number; remove: number; insert: string }): string {
  const index = text.length === 0 ? 0 : at % text.length
  return text.slice(0, index) + insert + text.slice(index + remove)
}

/** Mostly what it was. */
function corrupt(bytes: Uint8Array, wrong: [number, number] | null): Uint8Array {
  if (wrong === null || wrong[1] > 25 || bytes.length === 0) return bytes
  return bytes.with(wrong[0] % bytes.length, wrong[1] * 10)
}
