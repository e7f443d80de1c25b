import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { headings, pages, proseLines, readPage } from './markdown.ts'
import { MAX_LINE } from './text.ts'

const all = pages()

test('links: every file and anchor exists', () => {
  expect(all.flatMap(({ path, text }) => brokenLinks(path, text))).toEqual([])
})

test('links: every page of docs/ is reachable from docs/README.md', () => {
  const reached = new Set(['docs/README.md'])
  for (const path of reached) {
    if (!path.endsWith('.md')) continue
    for (const { target } of linksOf(path, readPage(path).text)) reached.add(target)
  }
  expect(all.map(({ path }) => path).filter((path) => path.startsWith('docs/') && !reached.has(path))).toEqual([])
})

test(`lines: none outside a table is longer than ${MAX_LINE} characters`, () => {
  const long = all.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) =>
        isTooLong(line)
          ? [`${path}:${index + 1}: ${line.length} characters, at most ${MAX_LINE}: wrap it by hand`]
          : [],
      ),
  )
  expect(long).toEqual([])
})

/** A row of a table can't be wrapped; nothing else has an excuse. */
function isTooLong(line: string): boolean {
  return line.length > MAX_LINE && !line.startsWith('|')
}

function brokenLinks(path: string, text: string): string[] {
  return linksOf(path, text).flatMap(({ link, target, anchor }) => {
    if (!existsSync(join(PACKAGE_ROOT, target))) return [`${path}: ${link}: no such file`]
    if (anchor === undefined) return []
    const known = headings(readPage(target).text).some((heading) => heading.anchor === anchor)
    return known ? [] : [`${path}: ${link}: no such heading`]
  })
}

/** The links of a page to other files of the repository. */
function linksOf(path: string, text: string): { link: string; target: string; anchor: string | undefined }[] {
  const prose = proseLines(text)
    .join('\n')
    .replaceAll(/`[^`]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return []
    const [file = '', anchor] = link.split('#')
    return [{ link, target: file === '' ? path : normalize(join(dirname(path), file)), anchor }]
  })
}
