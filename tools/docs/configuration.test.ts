/** The configuration reference has each key of the schemas, with its default, and no other. */
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { coordinatorSchema } from '../../shared/config/coordinator.ts'
import { detectorsSchema } from '../../shared/config/detectors.ts'
import { workerSchema } from '../../shared/config/worker.ts'
import { CONSTRAINT_KINDS, KIND_RULES, workflowSchema } from '../../shared/config/workflow.ts'
import { parseDuration } from '../../shared/duration.ts'
import { readPage } from './markdown.ts'
import { type Key, keysOf } from './schema-keys.ts'

const FILES: readonly (readonly [page: string, schema: z.ZodType])[] = [
  ['docs/reference/coordinator-hcl.md', coordinatorSchema],
  ['docs/reference/workflow-hcl.md', workflowSchema],
  ['docs/reference/worker-hcl.md', workerSchema],
  ['docs/reference/detectors-hcl.md', detectorsSchema],
]

test.each(FILES)('%s: keys and defaults are those of the schema', (page, schema) => {
  const documented = documentedKeys(readPage(page).text)
  const keys = keysOf(schema)
  expect([...documented.keys()].sort()).toEqual(keys.map(({ path }) => path).sort())
  expect(keys.flatMap((key) => complaints(key, documented.get(key.path)))).toEqual([])
})

test('workflow-hcl.md: constraint kinds and the keys they take are those of the schema', () => {
  const { text } = readPage('docs/reference/workflow-hcl.md')
  const expected = CONSTRAINT_KINDS.map((kind) => {
    const { value, period, per, is_global: isGlobal, least, percent } = KIND_RULES[kind]
    const limit = value ? `${least} or more${percent ? ', or a percentage' : ''}` : '–'
    return `| \`${kind}\` | ${limit} | ${said(period, 'optional')} | ${said(per, 'yes')} | ${said(isGlobal, 'yes')} |`
  })
  expect(text.split('\n').filter((line) => /^\| `\w+` \|(?: [^|]+ \|){4}$/.test(line))).toEqual(expected)
  for (const kind of CONSTRAINT_KINDS) expect(text).toContain(`- **\`${kind}\`** `)
})

function said(rule: boolean | null, permitted: string): string {
  return rule === null ? permitted : rule ? 'required' : '–'
}

interface Row {
  type: string
  fallback: string
}

/** The keys of all tables `key | type | default | meaning`, each under the heading of its block. */
function documentedKeys(text: string): Map<string, Row> {
  const found = new Map<string, Row>()
  let block = ''
  let isKeyTable = false
  for (const line of text.split('\n')) {
    const heading = /^## (.+)$/.exec(line)?.[1]
    if (heading !== undefined) block = /^`(.+)`$/.exec(heading)?.[1] ?? ''
    if (!line.startsWith('|')) isKeyTable = false
    if (line.startsWith('| key | type | default | meaning |')) isKeyTable = true
    const row = /^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/.exec(line)
    if (!isKeyTable || row === null) continue
    const [, key = '', type = '', fallback = ''] = row
    const path = block === '' ? key : `${block}.${key}`
    if (found.has(path)) throw new Error(`${path} is documented twice`)
    found.set(path, { type, fallback })
  }
  return found
}

function complaints(key: Key, row: Row | undefined): string[] {
  if (row === undefined) return []
  const complain = (what: string): string[] => [`${key.path}: ${what}`]
  if (key.isBlock !== /\bblocks?\b/.test(row.type)) return complain(`the type is ${row.type}`)
  if (key.isRequired !== (row.fallback === 'required')) return complain(`the default is ${row.fallback}`)
  if (key.isBlock || key.fallback === undefined || row.fallback === 'see below') return []
  const stated = JSON.parse(/^`(.+)`$/.exec(row.fallback)?.[1] ?? 'null') as unknown
  const value = typeof stated === 'string' && typeof key.fallback === 'number' ? parseDuration(stated) : stated
  return JSON.stringify(value) === JSON.stringify(key.fallback) ? [] : complain(`the default is ${row.fallback}`)
}
