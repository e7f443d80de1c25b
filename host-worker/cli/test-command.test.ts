import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { PACKAGE_ROOT } from '../process/package-root.ts'

/** Runs `resile test` on a project elsewhere with these tests of workflows. */
async function resileTest(files: Record<string, string>, ...filters: string[]) {
  const dir = await mkdtemp(join(tmpdir(), 'resile-test-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await mkdir(join(dir, 'workflows'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, 'workflows', name), text)
  const args = [join(PACKAGE_ROOT, 'host-worker/cli/main.ts'), 'test', '--project', dir, ...filters]
  const { exitCode, all } = await execa(process.execPath, args, { reject: false, all: true, stdin: 'ignore' })
  return { exitCode, said: all, left: await readdir(dir) }
}

const passing = `
  import { ApplicationFailure } from '@temporalio/common'
  import { startWorkflowRig } from 'resile/testing'
  import { expect, test } from 'vitest'
  test('test in a project → passes', () => { expect([typeof startWorkflowRig, typeof ApplicationFailure]).toEqual(['function', 'function']) })`
const failing = `
  import { test } from 'vitest'
  test('test in a project → fails', () => { throw new Error('as it has to') })`

test('resile test: imports of a test → resolved, nothing left behind', async () => {
  const { exitCode, said, left } = await resileTest({ 'x.test.ts': passing, 'x.ts': 'export const x = 1\n' })
  expect(said).toContain('1 passed')
  expect(exitCode).toBe(0)
  expect(left).toEqual(['workflows'])
})

test('resile test: one fails → exit code 1', async () => {
  const { exitCode, said } = await resileTest({ 'x.test.ts': passing, 'y.test.ts': failing })
  expect(exitCode).toBe(1)
  expect(said).toContain('as it has to')
})

test('resile test: files named → only these', async () => {
  const { exitCode, said } = await resileTest({ 'x.test.ts': passing, 'y.test.ts': failing }, 'x.test')
  expect(said).toContain('1 passed')
  expect(exitCode).toBe(0)
})

test('resile test: no tests → failure', async () => {
  expect((await resileTest({})).exitCode).toBe(1)
})

test('resile test: missing project → error', async () => {
  const { exitCode, said } = await resileTest({}, '--project', '/nowhere')
  expect(exitCode).toBe(1)
  expect(said).toContain("can't be read: ENOENT")
})
