/** Directories for what is not whole yet. They hold keys, so none may be left behind. */
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { ignoreHangups } from '../../process/hangups.ts'
import { identify } from '../../process/process-identity.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Makes a directory that only this user may enter, and removes it when the action is over, or a signal ends the process.
 * A hangup ends nothing: what was begun from a terminal goes on without it. Those that a killed process left are removed
 * before.
 *
 * @param parent on the file system where the action needs room
 * @param prefix of its name
 */
export async function withStaging<T>(
  parent: string,
  prefix: string,
  action: (directory: string) => Promise<T>,
): Promise<T> {
  await removeLeftBehind(parent, prefix)
  ignoreHangups()
  const directory = await mkdtemp(join(parent, `${prefix}${process.pid}-`))
  const end = (signal: (typeof SIGNALS)[number]): void => {
    rmSync(directory, { recursive: true, force: true })
    process.exit(128 + constants.signals[signal])
  }
  for (const signal of SIGNALS) process.on(signal, end)
  try {
    return await action(directory)
  } finally {
    for (const signal of SIGNALS) process.off(signal, end)
    await rm(directory, { recursive: true, force: true })
  }
}

async function removeLeftBehind(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue
    const pid = Number(/^\d+/.exec(name.slice(prefix.length))?.[0])
    if (pid > 0 && identify(pid) === undefined) await rm(join(parent, name), { recursive: true, force: true })
  }
}
