import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { CONSOLE_PAGES } from './console-pages.ts'
import { blocksOf, consoleCommands, pages } from './markdown.ts'

const blocks = pages().flatMap(blocksOf)
const consoles = blocks.filter(({ language }) => language === 'console')

test('console blocks: each is run by a test, or says why not', () => {
  const neither = consoles.filter(({ page, notRun }) => !Object.hasOwn(CONSOLE_PAGES, page) && notRun === null)
  expect(neither.map(({ page, line }) => `${page}:${line}`)).toEqual([])
})

test('console blocks: those that are not run are few', () => {
  const notRun = consoles.flatMap(({ page, line, notRun }) => (notRun === null ? [] : [`${page}:${line}: ${notRun}`]))
  // One more needs a reason why it can't be run.
  expect(notRun).toHaveLength(5)
})

test('console blocks: the tests that run them exist', () => {
  for (const file of Object.values(CONSOLE_PAGES)) expect(existsSync(join(PACKAGE_ROOT, file))).toBe(true)
})

test('files: a block with the name of a file → the text before it names the file', () => {
  const unnamed = pages().flatMap((page) => {
    const lines = page.text.split('\n')
    return blocksOf(page).flatMap(({ file, line }) => {
      // The name in the info string is not shown.
      const before = lines.slice(Math.max(0, line - 14), line - 1).join('\n')
      return file === '' || before.includes(`\`${file}\``) ? [] : [`${page.path}:${line}: ${file}`]
    })
  })
  expect(unnamed).toEqual([])
})

test('shell commands: they are in console blocks', () => {
  expect(blocks.filter(({ language }) => /^(?:sh|bash|shell)$/.test(language))).toEqual([])
})

test('consoleCommands: commands over several lines, and output', () => {
  const text = '$ curl -d \'{\n    "a": 1 }\'\nfirst\nsecond\n$ npx resile nodes \\\n    --json\n$ true'
  expect(consoleCommands(text)).toEqual([
    { command: 'curl -d \'{\n    "a": 1 }\'', expected: ['first', 'second'] },
    { command: 'npx resile nodes \\\n    --json', expected: [] },
    { command: 'true', expected: [] },
  ])
})
