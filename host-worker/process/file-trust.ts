/** Whether only this user can have written a file or directory: what others can write can be a forgery of theirs. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, realpathSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'

/** A file or directory that others can change. The message names it, says why, and how to mend it. */
export class Untrusted extends Error {
  /** The message without the path that it begins with. */
  readonly reason: string

  constructor(path: string, reason: string) {
    super(`${path} ${reason}`)
    this.reason = reason
  }
}

const WRITABLE_BY_GROUP = 0o020
const WRITABLE_BY_OTHERS = 0o002
/** In such a directory, as in /tmp, nobody can replace what belongs to another. */
const STICKY = 0o1000

/**
 * Makes a directory for this user alone when it is missing, and checks it as {@link checkPrivateDirectory} does.
 *
 * @throws Untrusted
 */
export function ensurePrivateDirectory(directory: string, owners: TrustedOwners = []): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  checkPrivateDirectory(directory, owners)
}

/**
 * User ids that may own the directories above a private one, besides this user and root; `any` of them, and of the
 * private one itself.
 */
export type TrustedOwners = readonly number[] | 'any'

/**
 * Checks that nobody but this user can write to a directory or replace it.
 *
 * @throws Untrusted; what `realpath` throws
 */
export function checkPrivateDirectory(directory: string, owners: TrustedOwners = []): void {
  const path = realpathSync(directory)
  const own = lstatSync(path)
  if (owners !== 'any') checkOwner(path, own)
  checkMode(path, own)
  for (let child = path, above = dirname(path); above !== child; child = above, above = dirname(above)) {
    const stats = lstatSync(above)
    if (owners !== 'any' && !owners.includes(stats.uid)) checkOwner(above, stats)
    if ((stats.mode & STICKY) === 0) checkMode(above, stats)
  }
}

/**
 * Checks that a directory is this user's and closed to all others: for one whose name others can guess, and whose place
 * they can take. A link is none: its owner could lead it elsewhere after the check.
 *
 * @throws Untrusted; what `lstat` throws
 */
export function checkOwnDirectory(directory: string): void {
  const stats = lstatSync(directory)
  if (!stats.isDirectory()) throw new Untrusted(directory, 'is not a directory')
  checkOwner(directory, stats, false)
  if ((stats.mode & 0o777) === 0o700) return
  throw new Untrusted(directory, `has mode ${octal(stats.mode)}, and must have 0700: chmod 700 ${directory}`)
}

/**
 * Reads a file that this process is to believe, such as keys. Links are followed: what they lead to is checked.
 *
 * @throws Untrusted when another user owns it or can write to it; what `open` throws
 */
export async function readTrustedFile(file: string): Promise<string> {
  const handle = await open(file)
  try {
    const stats = await handle.stat()
    checkOwner(file, stats)
    checkMode(file, stats)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

function checkOwner(path: string, { uid }: Stats, mayBeRoot = true): void {
  const user = process.geteuid?.()
  if (user === undefined || uid === user || (mayBeRoot && uid === 0)) return
  const owners = `user ${user}${mayBeRoot ? ' or root' : ''}`
  throw new Untrusted(path, `belongs to user ${uid}, who could change it: it must belong to ${owners}`)
}

function checkMode(path: string, { mode, gid }: Stats): void {
  if ((mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new Untrusted(path, `has mode ${octal(mode)}, so that every user can write to it: chmod o-w ${path}`)
  }
  if ((mode & WRITABLE_BY_GROUP) === 0) return
  if (!isOwnGroup(gid)) {
    throw new Untrusted(path, `has mode ${octal(mode)}, so that its group ${gid} can write to it: chmod g-w ${path}`)
  }
  if (hasAcl(path)) {
    throw new Untrusted(path, `has an access control list by which others may write to it: setfacl -b ${path}`)
  }
}

/**
 * Whether there is an access control list besides the mode, whose group bits are then the most that it grants. ls(1) shows it
 * as a + (POSIX: an "optional alternate access method flag"); BusyBox's does not.
 *
 * @see acl(5)
 */
function hasAcl(path: string): boolean {
  try {
    return /^\S{10}\+/.test(
      execFileSync('ls', ['-ldn', '--', path], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }),
    )
  } catch {
    return true
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/** Whether a group has no member but this user and root. @see group(5), passwd(5) */
function isOwnGroup(gid: number): boolean {
  try {
    const { username } = userInfo()
    const isTrusted = (name: string): boolean => name === username || name === 'root' || name === ''
    const members = entries('/etc/group').find((entry) => entry[2] === String(gid))?.[3]
    const others = entries('/etc/passwd').some((entry) => entry[3] === String(gid) && !isTrusted(entry[0] ?? ''))
    return members?.split(',').every(isTrusted) === true && !others
  } catch {
    // Who is in it isn't known.
    return false
  }
}

function entries(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
}
