import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { PACKAGE_ROOT } from '../../process/package-root.ts'
import { checkProject, formatDiagnostic } from '../check.ts'
import { lintWorkflows } from './lint-workflows.ts'

/** What `resile check` says of a project with these files. */
async function check(files: Record<string, string>): Promise<{ errors: string[]; warnings: string[]; ok: boolean }> {
  const dir = await mkdtemp(join(tmpdir(), 'resile-lint-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const all = {
    'coordinator.hcl': 'datacenter = "dc1"\n',
    'workflows/x.hcl': 'task_queue_target = "node"\n',
    ...files,
  }
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(dir, name)), { recursive: true })
    await writeFile(join(dir, name), content)
  }
  const { errors, warnings, ok } = await checkProject(dir)
  return {
    ok,
    errors: errors.map((error) => formatDiagnostic(error)),
    warnings: warnings.map((warning) => formatDiagnostic(warning, 'warning')),
  }
}

test('determinism: the library → no finding', async () => {
  const folder = join(PACKAGE_ROOT, 'workflows')
  const code = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  expect(code.length).toBeGreaterThan(4)
  const files = [...code.map((name) => join(folder, name)), join(folder, 'sdk/interceptors.ts')]
  expect(await lintWorkflows(PACKAGE_ROOT, files)).toEqual([])
})

test("determinism: a project's code → found, wherever in a file", async () => {
  const { ok, errors } = await check({
    'workflows/x.ts': '\uFEFFexport async function x() {\r\n  /* é👩‍🚒 */ await fetch("http://x/")\r\n}\r\n',
  })
  expect(ok).toBe(false)
  expect(errors).toEqual([expect.stringMatching(/^workflows\/x\.ts:2:18: code: fetch: .* use checkHttp/)])
})

test('determinism: imported files → checked once, nothing else', async () => {
  const bad = 'export const now = () => performance.now()\n'
  const { errors } = await check({
    'workflows/x.ts':
      'import { a } from "../lib/a"\nimport { b } from "../lib/b.js"\nimport type { C } from "./c.ts"\nexport const x = (c: C) => [a, b, c]\n',
    'lib/a/index.ts': `export * from "../b.ts"\nexport * from "../../outside.ts"\nexport * from "../missing.ts"\n${bad}`,
    'lib/b.ts': `export * from "./a/index.ts"\n${bad}`,
    'outside.ts': 'export {}\n',
    'workflows/c.ts': bad,
    'workflows/x.test.ts': 'import "node:fs"\n',
    'workflows/unused.ts': bad,
  })
  expect(errors.map((line) => line.split(': ')[0])).toEqual(['lib/a/index.ts:4:26', 'lib/b.ts:2:26'])
})

test('determinism: unparsable code → one error, no warning', async () => {
  const { errors, warnings } = await check({ 'workflows/x.ts': 'export function x() {\n  let = ;\n}\n' })
  expect(errors).toEqual([expect.stringMatching(/^workflows\/x\.ts:2:\d+: code: \S/)])
  expect(warnings).toEqual([])
})

test('determinism: code without an HCL file → ignored', async () => {
  expect(await check({ 'workflows/x.ts': 'export function x() {}\n', 'workflows/y.ts': 'fetch()\n' })).toEqual({
    ok: true,
    errors: [],
    warnings: [],
  })
})
