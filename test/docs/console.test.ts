/**
 * Runs the console blocks of README.md and of pages in docs/ as they are written, and compares what they print with what
 * the pages say. One `resile dev` serves them all: it runs the project of the start page, with the sample of `npm start`.
 */
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { CONSOLE_PAGES } from '../../tools/docs/console-pages.ts'
import { type Block, blocksOf, type ConsoleCommand, consoleCommands, readPage } from '../../tools/docs/markdown.ts'
import { startDev } from '../support/dev.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import { freePort } from '../support/ports.ts'
import { run } from '../support/processes.ts'

const START = 'docs/start/heal-your-service.md'
const paths = Object.entries(CONSOLE_PAGES).flatMap(([page, file]) =>
  file === 'test/docs/console.test.ts' ? [page] : [],
)
/** `npx resile` without the second that npx takes; test/hosts/writing-a-workflow.test.ts runs the real one. */
const NPX = `npx() { shift; '${process.execPath}' bin/resile.mjs "$@"; }`
const project = temporaryDirectory()
/** What pages can't know: addresses, and where the project is. */
const facts = new Map<string, string>([['../my-service', project]])
let socket = ''

beforeAll(async () => {
  facts.set('8080', String(await freePort()))
  copyLibrary()
  for (const path of paths) for (const block of blocksOf(readPage(path))) if (block.file !== '') writeBlock(block)
  const service = commandsOf(START).find(({ command }) => command.endsWith('node service.mjs'))
  if (service === undefined) throw new Error('the start page starts no service')
  run('bash', ['-c', substituted(service.command)])
  const dev = await startDev({ project, flags: ['--sample'] })
  socket = dev.file.socket
  facts.set('http://127.0.0.1:8787', dev.coordinator)
  facts.set('http://127.0.0.1:8790', dev.at('sample'))
}, 180_000)

describe.each(paths)('%s', (path) => {
  let output = ''
  const commands = commandsOf(path).filter(({ command }) => !isLongRunning(command))

  test.each(commands.map((one) => ({ ...one, title: one.command.split('\n')[0] })))('$title', async (one) => {
    const result = await runToStatedResult(one, output)
    output = result.printed
    expect(result).toMatchObject({ code: 0, missing: null })
  })
})

test('the reader of output: lines in order, with any text for …', () => {
  expect(missingLine('a 1\nb 2\nc 3', ['a …', '… 3'])).toBeNull()
  expect(missingLine('a 1\nb 2', ['b …', 'a …'])).toBe('a …')
  expect(missingLine('status:  completed', ['status: failed'])).toBe('status: failed')
})

/** `resile dev` and the service run as long as the test does. */
function isLongRunning(command: string): boolean {
  return command.includes('resile dev') || command.endsWith('node service.mjs')
}

function commandsOf(path: string): ConsoleCommand[] {
  const blocks = blocksOf(readPage(path)).filter(({ language, notRun }) => language === 'console' && notRun === null)
  return blocks.flatMap(({ text }) => consoleCommands(text))
}

/** The project of `npm start` has all of the workflow library. */
function copyLibrary(): void {
  mkdirSync(join(project, 'workflows'))
  for (const file of readdirSync(join(repository, 'workflows')).filter((name) => name.endsWith('.hcl'))) {
    copyFileSync(join(repository, 'workflows', file), join(project, 'workflows', file))
  }
}

function writeBlock({ file, text }: Block): void {
  const path = join(project, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${substituted(text)}\n`)
  // The page on approval is about a workflow of the reader's.
  if (file === 'workflows/rotate-logs.hcl') {
    writeFileSync(path.replace('.hcl', '.ts'), "export async function rotateLogs() { return 'rotated' }\n")
  }
}

function substituted(text: string): string {
  return [...facts].reduce((result, [said, meant]) => result.replaceAll(said, meant), text)
}

interface Result {
  code: number | null
  printed: string
  /** The first line that the page states and the command did not print. */
  missing: string | null
}

/** Runs a command once; one that only reads again and again until it prints what the page says, up to a minute. */
async function runToStatedResult({ command, expected }: ConsoleCommand, before: string): Promise<Result> {
  const id = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/.exec(before)?.[0] ?? '<no id was printed before>'
  const shell = substituted(command.replaceAll('<ID>', id)).replaceAll(/ --project \S*/g, (option) =>
    command.includes('resile check') ? option : '',
  )
  const deadline = Date.now() + 60_000
  for (;;) {
    const { code, stdout } = await run('bash', ['-c', `${NPX}\n{ ${shell}\n} 2>&1`], {
      env: { ...process.env, RESILE_COORDINATOR: `unix:${socket}` },
    }).ended
    const result = { code, printed: stdout, missing: missingLine(stdout, expected) }
    const isDone = code === 0 && result.missing === null
    if (isDone || !isReading(command) || Date.now() > deadline) return result
    await delay(200)
  }
}

/** Whether a command can be repeated until something has happened. */
function isReading(command: string): boolean {
  return /^(?:curl (?!.*(?:-X|-d|break))|npx resile (?:executions|decisions|freezes|nodes|signals) )/.test(
    `${command} `,
  )
}

/** The first stated line that the output doesn't have after the ones before it; null if it has all of them. */
function missingLine(output: string, expected: readonly string[]): string | null {
  const lines = output.split('\n').map(plain)
  let from = 0
  for (const line of expected) {
    const parts = plain(line)
      .split('…')
      .map((part) => part.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const pattern = new RegExp(`^${parts.join('.*')}$`)
    const found = lines.findIndex((candidate, index) => index >= from && pattern.test(candidate))
    if (found === -1) return line
    from = found + 1
  }
  return null
}

/** Without colours, and with single spaces. */
function plain(line: string): string {
  return stripVTControlCharacters(line).replaceAll(/\s+/g, ' ').trim()
}
