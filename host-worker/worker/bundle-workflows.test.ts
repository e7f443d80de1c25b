import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleWorkflows } from './bundle-workflows.ts'

let project: string
beforeAll(async () => {
  // Far from any node_modules: packages must come from Resile.
  project = await mkdtemp(join(tmpdir(), 'resile-bundle-'))
  await writeFile(
    join(project, 'good.ts'),
    `
    import { sleep } from '@temporalio/workflow'
    import { type Run, runCommand } from 'resile/workflow'
    export async function good(input: object, run: Run): Promise<string> {
      await sleep(1)
      await runCommand({ name: 'x' })
      return run.execution_id
    }`,
  )
  await writeFile(join(project, 'broken.ts'), 'export async function broken( {')
  await writeFile(
    join(project, 'reads.ts'),
    `import { readFileSync } from 'node:fs'\nexport async function reads() { return readFileSync('/etc/passwd', 'utf8') }`,
  )
  await writeFile(
    join(project, 'lost.ts'),
    `import { x } from './absent.ts'\nexport async function lost() { return x }`,
  )
})
afterAll(() => rm(project, { recursive: true }))

const source = (type: string): { type: string; code: string } => ({ type, code: join(project, `${type}.ts`) })

it('bundle: project without packages → bundled', { timeout: 120_000 }, async () => {
  const bundle = await bundleWorkflows([source('good')], project)
  expect(bundle).toMatchObject({ types: ['good'], failures: [], id: expect.stringMatching(/^[0-9a-f]{16}$/) })
})

it('bundle: broken workflow → left out, with the reason', { timeout: 120_000 }, async () => {
  const bundle = await bundleWorkflows(['good', 'broken', 'reads', 'lost'].map(source), project)
  expect(bundle.types).toEqual(['good'])
  expect(bundle.failures.map(({ type }) => type)).toEqual(['broken', 'reads', 'lost'])
  expect(bundle.failures[2]?.message).toContain('absent.ts')
  expect(bundle.code).not.toContain('readFileSync')
})

it('bundle: no workflows → a bundle', { timeout: 120_000 }, async () => {
  expect(await bundleWorkflows([], project)).toMatchObject({ types: [], failures: [] })
})
