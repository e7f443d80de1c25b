import { readdir, readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import { basename } from 'node:path'
import type { Diagnostics } from '../../../../workflows/sdk/activities.ts'
import { redact } from './redact.ts'

/** How many processes are shown. */
const MAX_PROCESSES = 8
/** Characters of a command line that are shown, and in which secrets are looked for. */
const MAX_COMMAND_LENGTH = 200
const MAX_REDACTED_LENGTH = 4000

/** The activity `collectDiagnostics`: what an engineer would check first. What can't be read is omitted. */
export function collectDiagnosticsActivity(node: string): () => Promise<Diagnostics> {
  return async () => ({
    node,
    at: new Date().toISOString(),
    uptime: Math.round(uptime()),
    load: loadavg(),
    cpus: cpus().length,
    memory: { total: totalmem(), free: freemem() },
    disk: await diskUse('/'),
    processes: await largestProcesses(),
  })
}

type DescribedProcess = Diagnostics['processes'][number]

async function diskUse(path: string): Promise<Diagnostics['disk']> {
  try {
    const { bsize, blocks, bavail } = await statfs(path)
    return { path, total: blocks * bsize, free: bavail * bsize }
  } catch {
    return null
  }
}

/** From /proc; empty where there is none. */
async function largestProcesses(): Promise<Diagnostics['processes']> {
  const entries = await readdir('/proc').catch(() => [])
  const processes = await Promise.all(entries.filter((entry) => /^\d+$/.test(entry)).map(readProcess))
  const largest = processes
    .filter((process) => process !== null)
    .sort((a, b) => b.memory - a.memory)
    .slice(0, MAX_PROCESSES)
  return Promise.all(largest.map(withCommand))
}

/**
 * Adds the command line, without secrets: it is kept in the execution's history. A kernel thread has none.
 *
 * @see proc_pid_cmdline(5)
 */
async function withCommand(process: Omit<DescribedProcess, 'command'>): Promise<DescribedProcess> {
  const text = await readFile(`/proc/${process.pid}/cmdline`, 'utf8').catch(() => '')
  const argv = text.split('\0').filter((argument) => argument !== '')
  const [program] = argv
  if (program === undefined) return { ...process, command: null }
  const redacted = await redact(argv.join(' ').slice(0, MAX_REDACTED_LENGTH), [])
  const command = redacted.text.slice(0, MAX_COMMAND_LENGTH)
  // So Node names its first thread, whatever it runs.
  return { ...process, name: process.name === 'MainThread' ? basename(program) : process.name, command }
}

/** @see proc_pid_status(5) */
async function readProcess(pid: string): Promise<Omit<DescribedProcess, 'command'> | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => null)
  if (status === null) return null
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
  return {
    pid: Number(pid),
    name: field('Name'),
    state: field('State'),
    memory: Number.parseInt(field('VmRSS'), 10) * 1024 || 0,
  }
}
