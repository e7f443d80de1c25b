import { readdir, readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import type { Diagnostics } from '../../../../workflows/sdk/activities.ts'

/** How many processes are shown. */
const MAX_PROCESSES = 8

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
  return processes
    .filter((process) => process !== null)
    .sort((a, b) => b.memory - a.memory)
    .slice(0, MAX_PROCESSES)
}

/** @see proc_pid_status(5) */
async function readProcess(pid: string): Promise<Diagnostics['processes'][number] | null> {
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
