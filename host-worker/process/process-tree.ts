/**
 * Everything that a command has started: what has left its process group, its session or its parent is found by its control
 * group, its ancestry, and a mark in its environment.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupMembers } from './cgroup.ts'
import { type EndOptions, endGroups } from './process-group.ts'
import { identify, type ProcessIdentity, type ProcessStat, readStat } from './process-identity.ts'

/** The environment variable that marks what a command has started where there are no control groups. */
export const MARK = 'RESILE_COMMAND_ID'

/** A command's first process, which leads its group and its session, and how the others are found. */
export interface ProcessTree extends ProcessIdentity {
  /** The value of {@link MARK}. */
  mark: string
  /** Directory of its control group; null without one. */
  cgroup: string | null
}

/** A process that could not be ended. */
export interface Survivor {
  pid: number
  name: string
}

const POLL_INTERVAL_MS = 50
/** How long killing may take, in milliseconds. */
const KILL_TIMEOUT_MS = 2000

/** Ends everything that commands have started: asks it to end, and kills what is left after a grace. */
export async function endTrees(trees: readonly ProcessTree[], options: EndOptions): Promise<Survivor[]> {
  if (process.platform !== 'linux') {
    await endGroups(trees, options)
    return []
  }
  const hunt = new Hunt(trees)
  if (await hunt.end(options.signal ?? 'SIGTERM', options.graceMs)) return []
  await hunt.end('SIGKILL', KILL_TIMEOUT_MS)
  return hunt.survivors()
}

/** Processes found so far: one whose parent has ended could not be found again by its ancestry. */
class Hunt {
  readonly #trees: readonly ProcessTree[]
  /** When each of them started, by pid. */
  readonly #found = new Map<number, string>()

  constructor(trees: readonly ProcessTree[]) {
    this.#trees = trees
  }

  /** Sends each process the signal once, also those that appear meanwhile. @returns whether all have ended in time */
  async end(signal: NodeJS.Signals, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs
    const told = new Set<string>()
    for (;;) {
      const running = this.#look()
      if (running.length === 0) return true
      for (const { pid, started } of running) {
        const key = `${pid} ${started}`
        if (told.has(key)) continue
        told.add(key)
        send(pid, signal)
      }
      if (performance.now() >= deadline) return false
      await sleep(POLL_INTERVAL_MS)
    }
  }

  survivors(): Survivor[] {
    return this.#look().map(({ pid, name }) => ({ pid, name }))
  }

  /** Those that run, with what was found now. */
  #look(): (ProcessStat & { pid: number })[] {
    const table = processTable()
    for (const tree of this.#trees) {
      for (const pid of membersOf(tree, table)) this.#found.set(pid, table.get(pid)?.started ?? '')
    }
    // What a found process has started belongs to it.
    for (let before = -1; before !== this.#found.size; ) {
      before = this.#found.size
      for (const [pid, { parent, started }] of table) if (this.#isFound(parent, table)) this.#found.set(pid, started)
    }
    return [...table].flatMap(([pid, stat]) => (this.#found.get(pid) === stat.started ? [{ ...stat, pid }] : []))
  }

  #isFound(pid: number, table: ReadonlyMap<number, ProcessStat>): boolean {
    const started = this.#found.get(pid)
    return started !== undefined && table.get(pid)?.started === started
  }
}

function processTable(): Map<number, ProcessStat> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return new Map(
    pids.map(Number).flatMap((pid): [number, ProcessStat][] => {
      const stat = readStat(pid)
      return stat === undefined ? [] : [[pid, stat]]
    }),
  )
}

/** What is known to belong to a tree without regard to ancestry. */
function membersOf(tree: ProcessTree, table: ReadonlyMap<number, ProcessStat>): number[] {
  const holder = identify(tree.pid)
  // Another process has the leader's pid now: groups and sessions of that number are its own.
  const isReused = holder !== undefined && holder.started !== tree.started
  const inCgroup = new Set(tree.cgroup === null ? [] : cgroupMembers(tree.cgroup))
  const entry = `${MARK}=${tree.mark}`
  return [...table].flatMap(([pid, { group, session }]) => {
    if (pid === process.pid) return []
    const isNear = !isReused && (group === tree.pid || session === tree.pid)
    return isNear || inCgroup.has(pid) || hasInEnvironment(pid, entry) ? [pid] : []
  })
}

/** Only the user's own processes, and for root all, can be read. */
function hasInEnvironment(pid: number, entry: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry)
  } catch {
    return false
  }
}

/** One that has ended, or that belongs to another user now, is left; it shows among the survivors. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Said by {@link Hunt.survivors}.
  }
}
