/**
 * Finds the Node that Resile runs on, and runs programs under it.
 * Plain JavaScript without packages: it runs under the system's Node, which may be as old as 18.
 */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of this clone, without a slash at its end. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The oldest major version of Node that Resile runs on. */
export const requiredNodeMajor = 24

/** Whether the Node that runs this is new enough itself. */
export const runningNodeIsEnough = Number(process.versions.node.split('.')[0]) >= requiredNodeMajor

/**
 * Whether npx started this. It runs commands by a shell, which does not pass on the signals that npx passes to it, and dies:
 * then this process would be left over.
 */
export const startedByNpx = process.env.npm_lifecycle_event === 'npx'

/** The Node to run on: this one if it is new enough, else the one in tools/node; undefined before set-up. */
export function findNode() {
  if (runningNodeIsEnough) return process.execPath
  const bundled = join(root, 'tools/node/node_modules/.bin/node')
  return existsSync(bundled) ? bundled : undefined
}

/**
 * An environment in which `node`, `npm` and the project's tools are those that Resile uses. RESILE_ADDED_PATH says which
 * folders of PATH are there for that alone: commands of hosts don't get them (host-worker/process/command-path.ts).
 */
export function runtimeEnvironment(base = process.env) {
  const node = findNode()
  const path = (base.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const first = [join(root, 'node_modules/.bin')]
  if (node !== undefined && !leadsTo(path, node)) first.unshift(dirname(node))
  const known = (base.RESILE_ADDED_PATH ?? '').split(delimiter)
  const added = [...first.filter((folder) => !path.includes(folder)), ...path.filter((folder) => isOfNpm(folder, base))]
  return {
    ...base,
    PATH: [...first, ...path.filter((folder) => !first.includes(folder))].join(delimiter),
    RESILE_ADDED_PATH: [...new Set([...known, ...added])].filter((folder) => folder !== '').join(delimiter),
  }
}

/** Whether npm has put a folder on the PATH of the script that it runs. */
function isOfNpm(folder, { npm_lifecycle_event: script }) {
  const binaries =
    folder.endsWith('/node_modules/.bin') && `${root}/`.startsWith(folder.slice(0, -'node_modules/.bin'.length))
  return script !== undefined && (binaries || folder.endsWith('/node-gyp-bin'))
}

/**
 * Runs a Node program of ours under the right Node, in a separate session, until it ends; resolves with its exit code.
 * A Ctrl-C reaches this process from the terminal and from npm: the program gets it once. If this process dies, even by
 * SIGKILL, the program sees the end of a pipe (host-worker/process/parent-watch.ts).
 */
export function runGuarded(file, args, environment = process.env) {
  const passed = passedSocket(environment)
  const child = spawn(requireNode(), [file, ...args], {
    detached: true,
    env: { ...runtimeEnvironment(environment), RESILE_PARENT_FD: '3', ...(passed && { RESILE_LISTEN_FD: '4' }) },
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', ...(passed ? [3] : [])],
  })
  const signals = signalsOf(child)
  const stopPassing = listen([...signals.listeners, ...terminalControlsOf(child)])
  const stopWatching = startedByNpx ? onParentDeath(() => signals.passedAny() || child.kill('SIGTERM')) : () => {}
  return exitCode(child).finally(() => {
    stopPassing()
    stopWatching()
  })
}

/** Whether systemd passed a socket to this very process (sd_listen_fds(3)): it is then descriptor 3. */
function passedSocket({ LISTEN_FDS, LISTEN_PID }) {
  return LISTEN_FDS === '1' && LISTEN_PID === String(process.pid)
}

/** Runs a tool of the project (a command on the runtime's PATH) until it ends; resolves with its exit code. */
export function runTool(command, args, environment = process.env) {
  // Not detached: in a terminal the tool gets Ctrl-C from there, so it needs no second one from here.
  const child = spawn(command, args, { cwd: root, env: runtimeEnvironment(environment), stdio: 'inherit' })
  const stopPassing = listen(signalsOf(child, process.stdin.isTTY ? ['SIGINT'] : []).listeners)
  return exitCode(child).finally(stopPassing)
}

/** Whether set-up has finished here at least once. */
export function isSetUp() {
  // npm writes this file last, so an installation that was broken off does not have it.
  return findNode() !== undefined && existsSync(join(root, 'node_modules/.package-lock.json'))
}

function requireNode() {
  const node = findNode()
  if (node === undefined) throw new Error('run npm start, npm test or npm run setup first')
  return node
}

function leadsTo(path, node) {
  const found = path.map((folder) => join(folder, 'node')).find((file) => existsSync(file))
  return found !== undefined && realpathSync(found) === realpathSync(node)
}

/** Signals that come within this time after the first of their kind are the same Ctrl-C. */
const sameSignalMs = 1_000

function signalsOf(child, swallowed = []) {
  const lastPassed = new Map()
  const pass = (signal) => {
    const now = performance.now()
    if (swallowed.includes(signal) || now - (lastPassed.get(signal) ?? -sameSignalMs) < sameSignalMs) return
    lastPassed.set(signal, now)
    child.kill(signal)
  }
  return {
    listeners: ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, pass]),
    passedAny: () => lastPassed.size > 0,
  }
}

/** Does what a terminal does for the processes of its session: the child is in another one. */
function terminalControlsOf(child) {
  const suspend = () => {
    child.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  }
  return [
    ['SIGTSTP', suspend],
    ['SIGCONT', () => child.kill('SIGCONT')],
    ['SIGWINCH', () => child.kill('SIGWINCH')],
  ]
}

function onParentDeath(act) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    act()
  }, 500)
  return () => clearInterval(timer)
}

function listen(listeners) {
  for (const [signal, listener] of listeners) process.on(signal, listener)
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener)
  }
}

function exitCode(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
}
