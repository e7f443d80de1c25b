/** Does what docs/how-to/write-a-workflow.md says, block by block: its files are written, its commands are run. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { blocksOf, consoleCommands } from '../../tools/docs/markdown.ts'
import { atEnd } from '../support/cleanup.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import { type Ended, type Running, run } from '../support/processes.ts'
import { until } from '../support/until.ts'

/** One fenced block. */
interface Block {
  /** The file it shows; null for a console. */
  file: string | null
  text: string
}

/** One command that was run. */
interface Step extends Ended {
  command: string
  /** What was in the cache afterwards. */
  cache: string[]
}

const path = 'docs/how-to/write-a-workflow.md'
const page = readFileSync(join(repository, path), 'utf8')
const reference = readFileSync(join(repository, 'docs/reference/workflow-sdk.md'), 'utf8')
const project = join(temporaryDirectory(), 'shop')
const steps: Step[] = []
/** What the page can't know: where the project is, which ports are free, the ids of executions. */
const facts = new Map([['../shop', project]])

beforeAll(async () => {
  mkdirSync(project)
  symlinkSync(repository, join(project, '../resile'))
  for (const { file, text } of blocks()) {
    if (file !== null) writeBlock(file, text)
    else for (const one of consoleCommands(text)) await command(one.command)
  }
}, 300_000)

test('tutorial: code blocks → a named file or commands each', () => {
  const all = blocks()
  expect(all.filter(({ file }) => file !== null).map(({ file }) => file)).toEqual([
    'coordinator.hcl',
    'worker.hcl',
    'workflows/flush-cache.hcl',
    'workflows/flush-cache.ts',
    'workflows/flush-cache.test.ts',
    'tsconfig.json',
    'workflows/upgrade-app.ts',
    'workflows/flush-cache.replay.test.ts',
  ])
  const commands = all.filter(({ file }) => file === null).flatMap(({ text }) => consoleCommands(text))
  expect(commands.filter(({ expected }) => expected.length > 0)).toEqual([])
})

test('tutorial: resile check and resile test → in order, tests pass', () => {
  expect(step('resile check').stdout).toBe('ok\n')
  expect(step('resile test --project').stdout).toMatch(/Tests .*3 passed/)
})

test('tutorial: dry run → says what it would do, cache untouched', () => {
  const dry = step('dry_run')
  expect(resultIn(dry.stdout)).toMatchObject({ would_run: ['find', 'cache', '-type', 'f', '-delete'] })
  expect(dry.cache).toEqual(['prices', 'stock'])
})

test('tutorial: run → cache emptied, output as the page shows it', () => {
  const real = step('stale prices')
  expect(real.stdout).toMatch(/^status: +completed$/m)
  expect(resultIn(real.stdout)).toEqual(resultIn(page))
  expect(real.cache).toEqual([])
})

test('tutorial: replay of a real history → agrees with the code', () => {
  expect(step('resile test replay').stdout).toMatch(/Tests .*1 passed/)
})

test('tutorial: fourth start within the hour → denied', async () => {
  const trigger = ['-c', `npx resile trigger flush-cache --project ${project} --node web-1 --wait`]
  const third = await run('bash', trigger).ended
  expect(third).toMatchObject({ code: 0 })
  const fourth = await run('bash', trigger).ended
  expect(fourth.code).toBe(3)
  expect(fourth.stdout + fourth.stderr).toContain('maxExecution')
})

test('tutorial: type check → no errors', async () => {
  const { code, stdout } = await run('npx', ['tsc', '--project', join(project, 'tsconfig.json')]).ended
  expect(stdout).toBe('')
  expect(code).toBe(0)
})

test('tutorial: list of activities → exactly those that exist', () => {
  const [, table = ''] = /\| activity \|.*\n\| --- .*\n((?:\|.*\n)+)/.exec(reference) ?? []
  const told = [...table.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name)
  const index = readFileSync(join(repository, 'workflows/sdk/index.ts'), 'utf8')
  expect(told.length).toBeGreaterThan(10)
  for (const name of told) expect(index).toMatch(new RegExp(`\\b${name}\\b`))
})

/** Fenced blocks; the info string of a file is its language and its name. */
function blocks(): Block[] {
  return blocksOf({ path, text: page }).map(({ language, file, text }) => {
    if (language === 'console') return { file: null, text }
    if (file === '') throw new Error(`a block has no name:\n${text}`)
    return { file, text }
  })
}

function writeBlock(file: string, text: string): void {
  const path = join(project, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${text}\n`)
}

/** Runs one command of a console; `resile dev` runs until the end, as in a separate terminal. */
async function command(line: string): Promise<void> {
  let shell = line
  for (const [said, meant] of facts) shell = shell.replaceAll(said, meant)
  if (shell.includes('resile dev')) return startDev(`${shell} --port 0`)
  const ended = await run('bash', ['-c', shell]).ended
  if (ended.code !== 0) throw new Error(`${line}\nended with ${ended.code}:\n${ended.stdout}${ended.stderr}`)
  steps.push({ command: line, ...ended, cache: readdirSync(join(project, 'cache')).sort() })
  const id = /^execution: +(\S+)$/m.exec(ended.stdout)?.[1]
  if (id !== undefined) facts.set('<ID>', id)
}

async function startDev(shell: string): Promise<void> {
  const dev = run('bash', ['-c', shell])
  atEnd(() => stop(dev))
  const address = await until(
    'resile dev is ready',
    () => /^resile ready .*temporal_http=(\S+)/m.exec(dev.said.stdout)?.[1],
    {
      within: 150_000,
    },
  )
  facts.set('http://127.0.0.1:7243', address)
}

async function stop(dev: Running): Promise<void> {
  dev.interrupt()
  await dev.ended
}

/** The command of the page that holds some text. */
function step(text: string): Step {
  const found = steps.find((candidate) => candidate.command.includes(text))
  if (found === undefined) throw new Error(`the page has no command with ${text}`)
  return found
}

/** The execution's result as the command prints it. */
function resultIn(text: string): unknown {
  const [, result = 'null'] = /^ *result: +(\{.*?\n *\})$/ms.exec(text) ?? []
  return JSON.parse(result)
}
