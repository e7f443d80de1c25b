import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { readPage } from './markdown.ts'

const section = readPage('docs/concepts/security.md').text.split('## Who can do what')[1]?.split('\n## ')[0] ?? ''
const [holders = '', tests = ''] = section.split('| no. | file | test |')
const rows = holders.split('\n').filter((line) => /^\| (?!holder|---)/.test(line))
const cells = rows.flatMap((line) => line.split(' | ').slice(1))
const listed = [...tests.matchAll(/^\| (\d+) \| `([^`]+)` \| (.+) \|$/gm)]

test('security table: each cell → names its tests', () => {
  expect(cells).toHaveLength(8 * 4)
  expect(cells.filter((cell) => !/\[\d+\]/.test(cell))).toEqual([])
  const used = new Set(cells.flatMap((cell) => [...cell.matchAll(/\[(\d+)\]/g)].map(([, number]) => number)))
  expect([...used].sort()).toEqual(listed.map(([, number]) => number).sort())
})

test('security table: each test that it names → exists', () => {
  const missing = listed.filter(([, , file = '', title = '']) => {
    return !readFileSync(join(PACKAGE_ROOT, file), 'utf8').includes(title)
  })
  expect(missing.map(([line]) => line)).toEqual([])
})
