import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUNDLE_MODULE, storedWorker } from './bundle.ts'

let directory: string
let code: string
const manifest = (): string => join(directory, 'worker.inputs.json')
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-bundle-'))
  code = await storedWorker(directory)
})
afterAll(() => rm(directory, { recursive: true }))

describe('bundled Worker', () => {
  it('nothing changed → the stored one, for any configuration', async () => {
    // A later line of the manifest would be lost if it were made again.
    await writeFile(manifest(), `${await readFile(manifest(), 'utf8')}\n`)
    expect(await storedWorker(directory)).toBe(code)
    expect(await readFile(manifest(), 'utf8')).toMatch(/\n$/)
    expect(code).toContain('./config.json')
  })

  it('a file that it was made of has changed → made again', async () => {
    const { digest, inputs } = JSON.parse(await readFile(manifest(), 'utf8')) as { digest: string; inputs: object }
    const [first = ''] = Object.keys(inputs).filter((file) => file.endsWith('edge/worker.ts'))
    const changed = JSON.stringify({ digest, inputs: { ...inputs, [first]: '1 1' } })
    await writeFile(manifest(), changed)
    expect(await storedWorker(directory)).toBe(code)
    expect(await readFile(manifest(), 'utf8')).not.toBe(changed)
  })

  it.each([
    ['changed', () => writeFile(join(directory, BUNDLE_MODULE), `${code}//`)],
    ['gone', () => rm(join(directory, BUNDLE_MODULE))],
    ['without a manifest', () => rm(manifest())],
  ])('bundle %s → made again', async (_, damage) => {
    await damage()
    expect(await storedWorker(directory)).toBe(code)
    expect(await readFile(join(directory, BUNDLE_MODULE), 'utf8')).toBe(code)
  })
})
