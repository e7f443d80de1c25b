/** Reads the project's Markdown pages, as far as their tests need it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'

/** One page. */
export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

/** One fenced block. */
export interface Block {
  readonly page: string
  /** Of the line with its opening fence, from 1. */
  readonly line: number
  readonly language: string
  /** The rest of the info string: the name of a file, or nothing. */
  readonly file: string
  readonly text: string
  /** Why it is not run, as the comment before it says; null without such a comment. */
  readonly notRun: string | null
}

/** Every page of the repository. */
export function pages(): Page[] {
  const roots = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', '.github', 'docs']
  return roots.flatMap(markdownFiles).map(readPage)
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(join(PACKAGE_ROOT, path), 'utf8') }
}

function markdownFiles(path: string): string[] {
  if (path.endsWith('.md')) return [path]
  const files = readdirSync(join(PACKAGE_ROOT, path), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => `${path}/${file}`)
}

/** All fenced blocks of a page. */
export function blocksOf({ path, text }: Page): Block[] {
  const blocks: Block[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index += 1) {
    const fence = /^( *)```(\w*) ?(\S*)$/.exec(lines[index] ?? '')
    if (fence === null) continue
    const [, indent = '', language = '', file = ''] = fence
    const end = lines.indexOf(`${indent}\`\`\``, index + 1)
    if (end === -1) throw new Error(`${path}:${index + 1}: the block has no end`)
    const notRun = /^<!-- not run: (.+) -->$/.exec(lines[index - 1] ?? '')?.[1] ?? null
    const content = lines.slice(index + 1, end).map((line) => line.slice(indent.length))
    blocks.push({ page: path, line: index + 1, language, file, text: content.join('\n'), notRun })
    index = end
  }
  return blocks
}

/** A page without its fenced blocks, line by line: a line of a block is empty. */
export function proseLines(text: string): string[] {
  let isCode = false
  return text.split('\n').map((line) => {
    if (/^ *```/.test(line)) {
      isCode = !isCode
      return ''
    }
    return isCode ? '' : line
  })
}

/** What a page has in backticks, outside of blocks. */
export function inlineCode(text: string): string[] {
  const prose = proseLines(text).join('\n')
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll(/\s+/g, ' '))
}

/** The headings of a page. */
export function headings(text: string): { level: number; title: string; anchor: string }[] {
  const seen = new Map<string, number>()
  return proseLines(text).flatMap((line) => {
    const match = /^(#+) (.+)$/.exec(line)
    if (match === null) return []
    const [, marks = '', title = ''] = match
    const slug = slugOf(title)
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return [{ level: marks.length, title, anchor: count === 0 ? slug : `${slug}-${count}` }]
  })
}

/** The anchor that GitHub gives a heading. */
function slugOf(title: string): string {
  const text = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-')
}

/** One command of a console block, and the lines of output that the page states. */
export interface ConsoleCommand {
  readonly command: string
  readonly expected: readonly string[]
}

/** The commands of a console block; a line that ends in a backslash goes on in the next one, and so does an open quote. */
export function consoleCommands(text: string): ConsoleCommand[] {
  const commands: { command: string; expected: string[] }[] = []
  for (const line of text.split('\n')) {
    const last = commands.at(-1)
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), expected: [] })
    else if (last === undefined) throw new Error(`a console block begins with output: ${line}`)
    else if (last.expected.length === 0 && isOpen(last.command)) last.command += `\n${line}`
    else last.expected.push(line)
  }
  return commands
}

function isOpen(command: string): boolean {
  const quotes = command.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').replaceAll(/'[^']*'/g, '')
  return command.endsWith('\\') || quotes.includes("'") || quotes.includes('"')
}
