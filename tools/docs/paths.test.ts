/** Files that documentation, comments and configuration mention exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { inlineCode, pages } from './markdown.ts'

/** Folders of the repository at its root. A path that begins with one of them is about the repository. */
const FOLDERS = ['bin', 'docs', 'edge', 'host-worker', 'packaging', 'shared', 'test', 'tools', 'workflows'] as const
const MENTION = new RegExp(`(?<![\\w/.@$*{}-])(?:${FOLDERS.join('|')})/[\\w./*{},-]*`, 'g')

/** Paths that are not about this repository: files of a user's project, placeholders, generated directories. */
const ELSEWHERE: readonly RegExp[] = [
  /^workflows\/(?:x|drain|flush-cache|upgrade-app|rotate-logs|restart-service)\./,
  /^workflows\/\*\*/,
  /^tools\/node\/node_modules/,
]

test('paths: those in documentation exist', () => {
  const missing = pages().flatMap(({ path, text }) =>
    inlineCode(text).flatMap((code) => missingIn(code).map((mention) => `${path}: ${mention}`)),
  )
  expect(missing).toEqual([])
})

test('paths: those in comments exist', () => {
  const missing = sourceFiles().flatMap((file) =>
    comments(readFileSync(join(PACKAGE_ROOT, file), 'utf8')).flatMap((comment) =>
      missingIn(comment).map((mention) => `${file}: ${mention}`),
    ),
  )
  expect(missing).toEqual([])
})

test('paths: those in configuration files exist', () => {
  const files = ['wrangler.toml', 'tsconfig.json', 'edge/tsconfig.json', 'knip.json', 'biome.json', '.ci/run']
  const missing = files.flatMap((file) =>
    missingIn(readFileSync(join(PACKAGE_ROOT, file), 'utf8')).map((mention) => `${file}: ${mention}`),
  )
  expect(missing).toEqual([])
})

function missingIn(text: string): string[] {
  return [...text.matchAll(MENTION)].flatMap(([found]) => {
    const mention = found.replace(/[.,-]+$/, '')
    if (ELSEWHERE.some((pattern) => pattern.test(mention))) return []
    // Of a pattern, the part before its first star or brace.
    const fixed = mention.replace(/[^/]*[*{].*$/, '')
    return isPlaceholder(mention) || existsSync(join(PACKAGE_ROOT, fixed)) ? [] : [mention]
  })
}

/** `workflows/NAME.hcl`, `workflows/<name>.ts`. */
function isPlaceholder(mention: string): boolean {
  return /^workflows\/(?:NAME\b.*)?$/.test(mention)
}

function sourceFiles(): string[] {
  return FOLDERS.filter((folder) => folder !== 'docs').flatMap((folder) =>
    readdirSync(join(PACKAGE_ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(?:ts|mjs|hcl)$/.test(file) && !/(?:^|\/)(?:node_modules|testdata)\//.test(file))
      .map((file) => `${folder}/${file}`),
  )
}

/** The lines of a source file that are comments, or end in one. */
function comments(source: string): string[] {
  return source.split('\n').flatMap((line) => /(?:^\s*(?:\/\*\*|\*|#)|(?:^|\s)\/\/) .*$/.exec(line)?.[0] ?? [])
}
