import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A process, distinguished from a later one with the same pid. */
export interface ProcessIdentity {
  pid: number
  /** When it started, in the words of the operating system: only good for comparing. */
  started: string
}

/** The process that has this pid now; undefined when there is none, or only a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? readStat(pid)?.started : askPs(pid)
  return started === undefined ? undefined : { pid, started }
}

/** Whether this very process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started
}

/** What Linux's /proc/PID/stat says of a process (proc_pid_stat(5)). */
export interface ProcessStat {
  started: string
  /** The command's name, cut to 15 bytes. */
  name: string
  parent: number
  group: number
  session: number
}

/** Reads it; undefined for a process that is gone or a zombie. */
export function readStat(pid: number): ProcessStat | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The second field is the command's name, which may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, parent, group, session] = fields
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
  const started = fields[19]
  if (started === undefined || state === 'Z' || state === 'X') return undefined
  return { started, name, parent: Number(parent), group: Number(group), session: Number(session) }
}

function askPs(pid: number): string | undefined {
  try {
    const [state = '', ...started] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/)
    return started.length === 0 || state.startsWith('Z') ? undefined : started.join(' ')
  } catch {
    return undefined
  }
}
