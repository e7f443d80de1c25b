import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { readDevFile } from '../net/dev-file.ts'
import { DataDirectoryInUse, lockDataDirectory } from '../process/data-lock.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { type ReloadResult, readReloadResult } from '../process/reload-result.ts'
import { dataDirectory } from './coordinator-address.ts'

interface ReloadOptions {
  project: string
  data?: string | undefined
  json: boolean
  timeout: number
}

/** What runs in a data directory. */
interface Daemon {
  /** As its user calls it. */
  role: string
  directory: string
  pid: number
}

/** How often it is looked whether a reload is over, in milliseconds. */
const POLL_INTERVAL_MS = 100

/** `resile reload`: has what runs in a data directory read its configuration again. */
export async function reload(options: ReloadOptions): Promise<void> {
  const data = resolve(dataDirectory(options))
  const daemons = await runningIn(data)
  if (daemons.length === 0) throw new CommandError(`nothing runs in ${data}`, EXIT.unreachable)
  const dev = await readDevFile(data)
  if (daemons.some(({ pid }) => pid === dev?.pid)) {
    throw new CommandError('`resile dev` reads its configuration only when it starts: restart it')
  }
  const outcomes = await Promise.all(daemons.map((daemon) => outcomeOf(daemon, options.timeout)))
  if (options.json) process.stdout.write(`${JSON.stringify({ items: outcomes }, null, 2)}\n`)
  else process.stdout.write(outcomes.map(textOf).join(''))
  if (outcomes.some(({ result }) => result === null || result.problems.length > 0)) process.exitCode = EXIT.failed
}

async function runningIn(data: string): Promise<Daemon[]> {
  const workers = await readdir(join(data, 'workers'), { recursive: true }).catch(() => [])
  const nodes = workers.filter((path) => path.endsWith('/lock.pid')).map((path) => path.slice(0, -'/lock.pid'.length))
  const places = [
    { role: 'coordinator', directory: data },
    { role: 'detector', directory: join(data, 'detector') },
    ...nodes.sort().map((path) => ({
      role: `worker of ${path.split('/').at(-1)}`,
      directory: join(data, 'workers', path),
    })),
  ]
  const found = await Promise.all(places.map(async (place) => ({ ...place, pid: await holderOf(place.directory) })))
  return found.flatMap((daemon) => (daemon.pid === null ? [] : [{ ...daemon, pid: daemon.pid }]))
}

/** The process that holds a data directory; null when none does. A pid that was left behind may be another process's now. */
async function holderOf(directory: string): Promise<number | null> {
  const exists = await readdir(directory).then(
    (names) => names.includes('lock.pid'),
    () => false,
  )
  if (!exists) return null
  try {
    const lock = await lockDataDirectory(directory)
    lock.release()
    return null
  } catch (error) {
    if (error instanceof DataDirectoryInUse) return error.pid ?? null
    throw error
  }
}

interface Outcome extends Daemon {
  /** Null when it did not say in time. */
  result: ReloadResult | null
}

async function outcomeOf(daemon: Daemon, timeoutMs: number): Promise<Outcome> {
  const before = await readReloadResult(daemon.directory)
  const signalledAt = new Date().toISOString()
  try {
    kill(daemon.pid, 'SIGHUP')
  } catch {
    throw new CommandError(`the ${daemon.role} (pid ${daemon.pid}) can't be signalled: run this as its user`)
  }
  const deadline = performance.now() + timeoutMs
  while (performance.now() < deadline) {
    const now = await readReloadResult(daemon.directory)
    if (now !== null && now.pid === daemon.pid && now.at !== before?.at && now.read_at >= signalledAt)
      return { ...daemon, result: now }
    await sleep(POLL_INTERVAL_MS)
  }
  return { ...daemon, result: null }
}

function textOf({ role, pid, result }: Outcome): string {
  if (result === null) return `${role} (pid ${pid}): has not said yet how it went; see its log\n`
  if (result.problems.length === 0) return `${role} (pid ${pid}): reloaded, configuration ${result.hash}\n`
  const lines = result.problems.map((line) => `  ${line}\n`).join('')
  return `${role} (pid ${pid}): keeps configuration ${result.hash} of ${result.loaded_at}:\n${lines}`
}
