/**
 * A lock between processes of one machine without packages: plain files, safe against holders that died in any way.
 *
 * Each acquisition creates the file with the next number; the holder is the living owner of the highest one. Numbers only
 * grow, and linking a finished file into place is atomic, so two processes never both believe that they broke a dead lock.
 */
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until this process holds the lock in `folder`; `onWait(pid)` is called once with the process that holds it. */
export async function acquireLock(folder, onWait) {
  mkdirSync(folder, { recursive: true })
  let reported = false
  for (;;) {
    const [highest] = numbers(folder)
    const holder = highest === undefined ? undefined : living(read(folder, highest))
    if (holder === undefined) {
      const lock = take(folder, (highest ?? 0) + 1)
      if (lock !== undefined) return lock
      continue
    }
    if (!reported) onWait(holder)
    reported = true
    await sleep(300)
  }
}

function take(folder, number) {
  const file = join(folder, String(number))
  const draft = join(folder, `draft-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const write = (owners) => {
    writeFileSync(draft, JSON.stringify(owners))
    renameSync(draft, file)
  }
  const self = identity(process.pid)
  writeFileSync(draft, JSON.stringify([self]))
  try {
    linkSync(draft, file)
  } catch (error) {
    if (error.code === 'EEXIST') return undefined
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
  // Whoever read the folder long ago may link a number that was already passed and cleaned up.
  if (numbers(folder)[0] !== number) {
    rmSync(file, { force: true })
    return undefined
  }
  for (const lower of numbers(folder).slice(1)) rmSync(join(folder, String(lower)), { force: true })
  return {
    /** Keeps the lock held while the process `pid` lives too, should this one be killed. */
    include: (pid) => write([self, identity(pid)]),
    release: () => write([]),
  }
}

function numbers(folder) {
  return readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => b - a)
}

function read(folder, number) {
  try {
    return JSON.parse(readFileSync(join(folder, String(number)), 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

function living(owners) {
  return owners.find((owner) => startTime(owner.pid) === owner.started)?.pid
}

function identity(pid) {
  return { pid, started: startTime(pid) ?? 'unknown' }
}

/** Tells a process from a later one that was given the same pid; undefined when there is none. */
function startTime(pid) {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}
