import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { compileCache } from './compile-cache.ts'

let directory: string
let program: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-cache-'))
  program = join(directory, 'program.ts')
  await writeFile(program, `const warm: boolean = process.argv[2] === '--warm'\nif (!warm) throw new Error('not warm')`)
})
afterAll(() => rm(directory, { recursive: true }))

it('compile cache: filled once → outdated ones removed', async () => {
  const data = join(directory, 'data')
  await mkdir(join(data, 'compile-cache/0123456789abcdef'), { recursive: true })
  const warnings: string[] = []
  const caches = await Promise.all([1, 2].map(() => compileCache(data, [program], (detail) => warnings.push(detail))))
  expect(warnings).toEqual([])
  const [cache] = caches
  expect(caches).toEqual([cache, cache])
  expect(await readdir(join(data, 'compile-cache'))).toEqual([cache?.split('/').at(-1)])
  const [filled = ''] = await readdir(cache ?? '')
  expect(await readdir(join(cache ?? '', filled))).not.toEqual([])
})

it('compile cache: writable by others → not used', async () => {
  const data = join(directory, 'open')
  await mkdir(join(data, 'compile-cache'), { recursive: true })
  await chmod(join(data, 'compile-cache'), 0o777)
  const warnings: string[] = []
  expect(await compileCache(data, [program], (detail) => warnings.push(detail))).toBe(null)
  expect(warnings).toEqual([expect.stringContaining('others may write to it')])
})

it('compile cache: program fails → none left', async () => {
  const warnings: string[] = []
  const data = join(directory, 'failed')
  expect(await compileCache(data, [program, join(directory, 'absent.ts')], (detail) => warnings.push(detail))).toBe(
    null,
  )
  expect(warnings).toHaveLength(1)
  expect(await readdir(join(data, 'compile-cache'))).toEqual([])
})
