import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type StoredBundle, storedBundle } from './bundle-store.ts'

let directory: string
let source: { type: string; code: string }
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-store-'))
  source = { type: 'good', code: join(directory, 'good.ts') }
  await writeFile(source.code, `import { word } from './word'\nexport async function good() { return word }`)
  await writeFile(join(directory, 'word.ts'), `export const word = 'one'`)
})
afterAll(() => rm(directory, { recursive: true }))

const none = (): never => {
  throw new Error('nothing may fail')
}
const store = (onFailure: (failure: { type: string }) => void = none): Promise<StoredBundle> =>
  storedBundle([source], join(directory, 'data'), onFailure)
const writtenAt = async ({ file }: StoredBundle): Promise<number> => (await stat(file)).mtimeMs

it('stored bundle: unchanged sources → reused; changed → made again', { timeout: 120_000 }, async () => {
  const first = await store()
  expect(first).toMatchObject({ types: ['good'], file: join(directory, 'data/bundles', `${first.id}.js`) })
  const written = await writtenAt(first)
  expect(await store()).toEqual(first)
  expect(await writtenAt(first)).toBe(written)

  await writeFile(join(directory, 'word.ts'), `export const word = 'two'`)
  const second = await store()
  expect(second.id).not.toBe(first.id)
  // What would now be taken instead.
  await writeFile(join(directory, 'word.js'), `export const word = 'three'`)
  await rm(join(directory, 'word.ts'))
  expect((await store()).id).not.toBe(second.id)
})

it('stored bundle: tampered with → made again', { timeout: 120_000 }, async () => {
  const bundle = await store()
  await writeFile(bundle.file, 'something else')
  const anew = await store()
  expect(await readFile(anew.file, 'utf8')).toContain('three')
  expect(await store()).toEqual(anew)
})

it("stored bundle: workflow can't be bundled → reported each time", { timeout: 120_000 }, async () => {
  await writeFile(source.code, 'export async function good( {')
  for (let time = 0; time < 2; time++) {
    const failed: string[] = []
    expect(await store(({ type }) => failed.push(type))).toMatchObject({ types: [] })
    expect(failed).toEqual(['good'])
  }
})
