/**
 * Control groups: by them the kernel itself knows everything that a command has started, wherever it went.
 *
 * @see cgroups(7); https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { identify } from './process-identity.ts'

const PREFIX = 'resile-command-'

/** Undefined until it was looked for; null where this process may make none. */
let parent: string | null | undefined

/** Makes a control group below this process's own; null where that is not possible, as without the right to. */
export function createCgroup(): string | null {
  if (parent === undefined) {
    parent = ownCgroup()
    if (parent !== null) removeLeft(parent)
  }
  if (parent === null) return null
  const directory = join(parent, `${PREFIX}${process.pid}-${randomUUID()}`)
  try {
    mkdirSync(directory)
    // In a directory that is no control group's, such a file would be an ordinary one.
    readFileSync(join(directory, 'cgroup.procs'))
    return directory
  } catch {
    parent = null
    return null
  }
}

/**
 * The command line that runs another in a control group, with exactly this environment. It enters the group before it starts
 * anything: one that is moved later may have started something by then. A group that can't be entered is no reason not to
 * run.
 */
export function inCgroup(directory: string, argv: readonly string[], env: Record<string, string>): string[] {
  const script = 'echo 0 2>/dev/null >"$1"; shift; exec "$@"'
  // A shell adds variables of its own.
  const exact = ['/usr/bin/env', '-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)]
  return ['/bin/sh', '-c', script, 'sh', join(directory, 'cgroup.procs'), ...exact, ...argv]
}

/** The pids in a control group and in those below it, which any process of root may make; none when it is gone. */
export function cgroupMembers(directory: string): number[] {
  try {
    const own = readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
    return [...own, ...groupsBelow(directory).flatMap(cgroupMembers)]
  } catch {
    return []
  }
}

/** Removes a control group; one in which something runs, as a daemon that was started on purpose, stays. */
export function removeCgroup(directory: string): void {
  try {
    for (const below of groupsBelow(directory)) removeCgroup(below)
    rmdirSync(directory)
  } catch {
    // Removed when a worker starts after its last process has ended.
  }
}

function groupsBelow(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name))
}

/** The directory of this process's control group: of version 2, else of systemd's hierarchy of version 1. */
function ownCgroup(): string | null {
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map(readMount)
    const paths = readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    const pathOf = (controllers: string): string | undefined => paths.find((line) => line?.[1] === controllers)?.[2]
    const v2 = mounts.find((mount) => mount?.type === 'cgroup2')
    const v1 = mounts.find((mount) => mount?.type === 'cgroup' && mount.options.includes('name=systemd'))
    const [mount, path] = v2 === undefined ? [v1, pathOf('name=systemd')] : [v2, pathOf('')]
    return mount === undefined || mount === null || path === undefined ? null : join(mount.point, path)
  } catch {
    return null
  }
}

/** @see proc_pid_mountinfo(5) */
function readMount(line: string): { point: string; type: string; options: string[] } | null {
  const [before = '', after] = line.split(' - ')
  const point = before.split(' ')[4]
  const [type = '', , options = ''] = after?.split(' ') ?? []
  return point === undefined ? null : { point, type, options: options.split(',') }
}

/** Removes what processes have left that no longer run. A running one's group may be empty because nothing has entered it yet. */
function removeLeft(directory: string): void {
  for (const name of readdirSync(directory)) {
    const maker = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (maker !== undefined && identify(Number(maker)) === undefined) removeCgroup(join(directory, name))
  }
}
