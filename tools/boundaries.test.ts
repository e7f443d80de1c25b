import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkBoundaries } from './boundaries.ts'

function treeOf(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'boundaries-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const folder of ['edge', 'host-worker', 'shared', 'workflows', 'test', 'tools', 'packaging'])
    mkdirSync(join(root, folder))
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return root
}

test('boundaries: the project itself → no violation', () => {
  expect(checkBoundaries()).toEqual([])
})

test('boundaries: an import of a part below, or of the own part → no violation', () => {
  const root = treeOf({
    'edge/api/a.ts': "import '../trigger/b.ts'\nimport './c.ts'\n",
    'edge/api/c.ts': '',
    'edge/trigger/b.ts': "import '../../shared/d.ts'\nimport 'zod'\n",
    'shared/d.ts': '',
  })
  expect(checkBoundaries(root)).toEqual([])
})

test.each([
  ['upward', 'edge/trigger/a.ts', "import { b } from '../api/b.ts'", 'edge/trigger must not import edge/api'],
  [
    'upward, of a type',
    'shared/a.ts',
    "import type { B } from '../edge/http/b.ts'",
    'shared must not import edge/http',
  ],
  ['upward, re-exported', 'shared/a.ts', "export { b } from '../edge/http/b.ts'", 'shared must not import edge/http'],
  [
    'upward, dynamic',
    'host-worker/net/a.ts',
    "await import('../cli/b.ts')",
    'host-worker/net must not import host-worker/cli',
  ],
  ['across one layer', 'host-worker/worker/a.ts', "import '../detector/b.ts'", 'must not import host-worker/detector'],
  ['of test code', 'edge/api/a.ts', "import '../testing/b.ts'", 'which is for tests'],
  ['of Node in shared', 'shared/a.ts', "import 'node:fs'", 'shared must not import node:fs'],
])('boundaries: an import %s → violation', (_, file, text, message) => {
  expect(checkBoundaries(treeOf({ [file]: `${text}\n` }))).toEqual([
    { file, line: 1, message: expect.stringContaining(message) },
  ])
})

test('boundaries: a file in no part → violation', () => {
  expect(checkBoundaries(treeOf({ 'edge/new/a.ts': '' }))).toEqual([
    { file: 'edge/new/a.ts', line: 1, message: 'belongs to no part in tools/boundaries.ts' },
  ])
})

test('boundaries: an integration without a part of its own → violation', () => {
  const root = treeOf({ 'edge/integrations/new/index.ts': '' })
  expect(checkBoundaries(root)).toMatchObject([
    { message: 'edge/integrations/new needs a part of its own in tools/boundaries.ts' },
  ])
})
