import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** The reason for that package: it writes journals without a journald. */
export const JOURNAL_REMOTE = '/usr/lib/systemd/systemd-journal-remote'

/** Debian packages that some tests need, with a command of each. */
const commands = {
  acl: 'setfacl',
  haproxy: 'haproxy',
  lintian: 'lintian',
  prometheus: 'prometheus',
  'prometheus-alertmanager': 'prometheus-alertmanager',
  systemd: 'systemd-socket-activate',
  'systemd-journal-remote': JOURNAL_REMOTE,
} as const

/** A Debian package that some tests need. */
export type DebianPackage = keyof typeof commands

/** Those that are not installed here. */
export function missingDebianPackages(): DebianPackage[] {
  return debianPackages.filter((name) => !isOnPath(commands[name]))
}

/**
 * What a test that needs a Debian package passes to `test.skipIf` and uses as its title:
 * `test.skipIf(lacks('prometheus'))(titled('heals', 'prometheus'), …)`.
 */
export function lacks(name: DebianPackage): boolean {
  return missingDebianPackages().includes(name)
}

/** The title of a test that needs a Debian package; it says so where the package is missing. */
export function titled(title: string, name: DebianPackage): string {
  return lacks(name) ? `${title} (skipped: the Debian package ${name} is not installed)` : title
}

const debianPackages = Object.keys(commands) as DebianPackage[]

function isOnPath(command: string): boolean {
  if (isAbsolute(command)) return isExecutable(command)
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, command)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
