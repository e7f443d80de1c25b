/**
 * Makes a clone ready to run: Node 24 where the system's is older, and the npm packages.
 * Plain JavaScript without packages: it runs under the system's Node, which may be as old as 18. It says each thing it
 * does on stderr; when all is in place it is silent and touches neither npm nor the network.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNode, requiredNodeMajor, root, runningNodeIsEnough, runtimeEnvironment } from './runtime.mjs'
import { acquireLock } from './setup-lock.mjs'

export { findNode, runGuarded, runTool, runtimeEnvironment } from './runtime.mjs'

/** Does what is missing, and nothing else. Throws a `SetupError` whose message is for people. */
export async function setUp() {
  if (missingParts().length === 0) return
  const lock = await acquireLock(join(root, '.resile/setup'), (pid) => {
    say(`another set-up is at work here (pid ${pid}), waiting for it`)
  })
  try {
    // Checked again: the set-up that was waited for may have done everything.
    for (const part of missingParts()) await install(part, lock)
  } finally {
    lock.release()
  }
}

/** A set-up that did not succeed, with what a person needs to know about it. */
export class SetupError extends Error {}

const parts = [
  {
    folder: join(root, 'tools/node'),
    title: `Node ${requiredNodeMajor} into tools/node (this one is ${process.versions.node})`,
    needed: !runningNodeIsEnough,
    check: checkNode,
  },
  { folder: root, title: 'the npm packages into node_modules (about half a minute)', needed: true, check: () => {} },
]

function missingParts() {
  return parts.filter((part) => part.needed && readStamp(part.folder) !== requiredStamp(part.folder))
}

async function install({ folder, title, check }, lock) {
  say(`installing ${title}`)
  const started = Date.now()
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`
  const progress = setInterval(() => say(`  still running after ${seconds()}`), 10_000)
  try {
    await npmCi(folder, lock)
  } finally {
    clearInterval(progress)
  }
  check()
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  writeFileSync(stampFile(folder), requiredStamp(folder))
  say(`  done in ${seconds()}`)
}

function npmCi(folder, lock) {
  const [command, ...before] = npmCommand()
  // Nothing needs an install script; and NODE_ENV=production must not leave out what the tests need.
  const flags = [
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=warn',
  ]
  const child = spawn(command, [...before, 'ci', ...flags], {
    cwd: folder,
    env: npmEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (child.pid !== undefined) lock.include(child.pid)
  const lastLines = keepLastLines(child, 25)
  let interrupted = false
  const stop = (signal) => {
    interrupted = true
    child.kill(signal)
    // npm takes its time to tidy up what the next run deletes anyway.
    setTimeout(() => child.kill('SIGKILL'), 2_000).unref()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, stop)
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new SetupError(`npm can't be run (${error.message}); is it on the PATH?`)))
    child.once('close', (code, signal) => {
      for (const name of signals) process.off(name, stop)
      if (code === 0) resolve()
      else if (interrupted) reject(new SetupError('set-up was interrupted; the next run starts over'))
      else
        reject(new SetupError([...lastLines(), `npm ci in ${folder} failed (${signal ?? `exit ${code}`})`].join('\n')))
    })
  })
}

function npmCommand() {
  const started = process.env.npm_execpath
  if (started === undefined || !/npm-cli\.[cm]?js$/.test(started)) return ['npm']
  return [findNode() ?? process.execPath, started]
}

/** The environment without what an outer `npm run` says about its own package and folders. */
function npmEnvironment() {
  const outer =
    /^(npm_(lifecycle|package)_.*|npm_command|npm_config_(local_prefix|prefix|global|omit|include)|INIT_CWD)$/
  return Object.fromEntries(Object.entries(runtimeEnvironment()).filter(([name]) => !outer.test(name)))
}

function keepLastLines(child, count) {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk) => {
      text = (text + chunk).slice(-20_000)
    })
  }
  return () => text.trimEnd().split('\n').slice(-count)
}

function checkNode() {
  const node = findNode()
  const answer = node === undefined ? undefined : spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (answer?.status === 0) return
  throw new SetupError(
    `Resile needs Node ${requiredNodeMajor} or newer, and no package of it runs on ${process.platform}-${process.arch}: ` +
      'please install it and try again',
  )
}

function readStamp(folder) {
  const file = stampFile(folder)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function stampFile(folder) {
  return join(folder, 'node_modules/.resile-set-up')
}

function requiredStamp(folder) {
  const hash = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex')
  return `${hash} ${process.platform}-${process.arch}\n`
}

function say(line) {
  process.stderr.write(`set-up: ${line}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
