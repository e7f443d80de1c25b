/** docs/development.md has one line for each folder with source. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { readPage } from './markdown.ts'

const ROOTS = ['bin', 'edge', 'host-worker', 'packaging', 'shared', 'test', 'tools', 'workflows']
const mapped = [...readPage('docs/development.md').text.matchAll(/^- `([\w/-]+)\/`: ./gm)].map(
  ([, folder = '']) => folder,
)
const folders = ROOTS.flatMap(foldersWithSource)

test('map of the code: each folder with source has a line in docs/development.md', () => {
  expect(folders.filter((folder) => !mapped.includes(folder))).toEqual([])
})

test('map of the code: each line of docs/development.md is about a folder with source', () => {
  expect(mapped.filter((folder) => !folders.includes(folder))).toEqual([])
})

test('map of the code: no folder has two lines', () => {
  expect(mapped.filter((folder, index) => mapped.indexOf(folder) !== index)).toEqual([])
})

function foldersWithSource(folder: string): string[] {
  const entries = readdirSync(join(PACKAGE_ROOT, folder), { withFileTypes: true })
  const hasSource = entries.some((entry) => entry.isFile() && /\.(?:ts|mjs)$/.test(entry.name))
  const below = entries.filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
  return [...(hasSource ? [folder] : []), ...below.flatMap(({ name }) => foldersWithSource(`${folder}/${name}`))]
}
