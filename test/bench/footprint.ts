/** What processes cost, as Linux tells it. @see proc(5) */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** What one process takes: memory in MB (10^6 is not meant: 2^20), and processor time in percent of one core. */
export interface Footprint {
  rss: number
  /** What it shares with others is counted in parts. */
  pss: number
  cpu: number
}

/** Ticks of `utime` and `stime` in a second: 100 on every Linux that Node runs on. */
const TICKS = 100

/**
 * Measures processes over a while.
 *
 * @param window milliseconds
 */
export async function footprints(pids: readonly number[], window: number): Promise<Footprint[]> {
  const before = await Promise.all(pids.map(ticksOf))
  const began = performance.now()
  await sleep(window)
  const seconds = (performance.now() - began) / 1000
  return Promise.all(
    pids.map(async (pid, index) => ({
      rss: await megabytes(`/proc/${pid}/status`, 'VmRSS'),
      pss: await megabytes(`/proc/${pid}/smaps_rollup`, 'Pss'),
      cpu: (((await ticksOf(pid)) - (before[index] ?? 0)) / TICKS / seconds) * 100,
    })),
  )
}

/** The processes that one has started and that still run. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The command's name before these may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function megabytes(file: string, field: string): Promise<number> {
  const text = await readFile(file, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024
}
