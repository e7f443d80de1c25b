import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeClone, until } from './test-clone.ts'

type Files = Record<string, string>
const setUpDone: Files = { 'node_modules/.package-lock.json': '{}' }

/** Runs bin/resile.mjs of a clone whose main.ts is the given script. */
function run(script: string, args: string[] = [], how: { files?: Files; env?: NodeJS.ProcessEnv } = {}) {
  const { files = setUpDone, env = {} } = how
  const main = `import { endWithParent } from '../process/parent-watch.ts'\nendWithParent()\n${script}`
  const clone = makeClone({ ...files, 'host-worker/cli/main.ts': main })
  const child = spawn(process.execPath, [join(clone, 'bin/resile.mjs'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
  }
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return { child, printed: () => printed, exit: exitOf(child) }
}

function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)))
}

/** How it runs where the system's Node is too old: the command in a separate process. Under npx it always does. */
const launched = { env: { npm_lifecycle_event: 'npx' } }

const waiting = `
  const heard = []
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {
    heard.push(name)
    setTimeout(() => { console.log('heard ' + heard.join(' ')); process.exit(0) }, 700)
  })
  setInterval(() => {}, 1000)
  console.log('pid ' + process.pid)`

test('command: before set-up → says what to do', async () => {
  const { exit, printed } = run('', [], { files: {} })
  expect(await exit).toBe(1)
  expect(printed()).toBe('resile: run npm start, npm test or npm run setup first\n')
})

test.each([
  ['imported', {}],
  ['launched', launched],
])('command: arguments and exit code → passed through: %s', async (_, how) => {
  const { exit, printed } = run(`console.log(process.argv.slice(2).join('|')); process.exit(3)`, ['a b', '--c'], how)
  expect(await exit).toBe(3)
  expect(printed()).toBe('a b|--c\n')
})

test('command: ended by a signal → 128 and its number', async () => {
  const { exit } = run(`process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)`, [], launched)
  expect(await exit).toBe(137)
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s reaches the command once, however often it comes at once',
  async (signal) => {
    const { child, exit, printed } = run(waiting, [], launched)
    await until(() => printed().includes('pid'))
    child.kill(signal)
    child.kill(signal)
    await new Promise((resolve) => setTimeout(resolve, 100))
    child.kill(signal)
    expect(await exit).toBe(0)
    expect(printed()).toMatch(new RegExp(`^heard ${signal}$`, 'm'))
  },
)

test('launcher: kill -9 → command ends too', async () => {
  const { child, exit, printed } = run(waiting, [], launched)
  await until(() => printed().includes('pid'))
  child.kill('SIGKILL')
  // The command holds the other end of the output until it ends.
  expect(await exit).toBe('SIGKILL')
  expect(printed()).toContain('heard SIGTERM')
})
