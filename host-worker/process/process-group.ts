import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, type ProcessIdentity, readStat } from './process-identity.ts'

/** How groups are ended. */
export interface EndOptions {
  /** The signal that is sent first. */
  signal?: NodeJS.Signals
  /** How long they may take after that, before they are killed. */
  graceMs: number
}

/** Ends whole process groups, named by their leaders: asks them, and kills what is left after a grace. */
export async function endGroups(leaders: readonly ProcessIdentity[], options: EndOptions): Promise<void> {
  for (const leader of leaders) signalGroup(leader, options.signal ?? 'SIGTERM')
  if (await allGone(leaders, options.graceMs)) return
  for (const leader of leaders) signalGroup(leader, 'SIGKILL')
  // What even this does not end sits in the kernel; waiting longer would not help.
  await allGone(leaders, 2_000)
}

/** Sends a signal to all of a group; nothing happens when the group is gone. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!groupExists(leader)) return
  try {
    process.kill(-leader.pid, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Whether any process of the group still runs, be it without its leader. */
export function groupExists(leader: ProcessIdentity): boolean {
  const holder = identify(leader.pid)
  if (holder !== undefined) return holder.started === leader.started
  try {
    process.kill(-leader.pid, 0)
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
  // In a container whose first process reaps no zombies the group's zombies never disappear: they don't count.
  return process.platform !== 'linux' || hasRunningMember(leader.pid)
}

async function allGone(leaders: readonly ProcessIdentity[], withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (leaders.some(groupExists)) {
    if (performance.now() >= deadline) return false
    await sleep(50)
  }
  return true
}

function hasRunningMember(group: number): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && readStat(Number(name))?.group === group)
}

/** EPERM: the group belongs to another user now, so ours has ended. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM')
}
