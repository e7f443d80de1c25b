import { resolve } from 'node:path'
import type { Manifest } from '../coordinator/backup/archive.ts'
import { saveCoordinator } from '../coordinator/backup/backup.ts'
import { restoreCoordinator } from '../coordinator/backup/restore.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { dataDirectory } from './coordinator-address.ts'

interface BackupOptions {
  project: string
  data?: string | undefined
  json: boolean
}

/** `resile backup` */
export async function backup(file: string, version: string, options: BackupOptions): Promise<void> {
  const data = resolve(dataDirectory(options))
  const manifest = await saveCoordinator(data, resolve(file), version, (done, all) => {
    if (process.stderr.isTTY) process.stderr.write(`\rsaving ${done} of ${all} databases${done === all ? '\n' : ''}`)
  })
  if (options.json) process.stdout.write(`${JSON.stringify({ file: resolve(file), ...manifest }, null, 2)}\n`)
  else process.stdout.write(`saved ${contents(manifest)} to ${file}, and read it again\n`)
}

/** `resile restore` */
export async function restore(file: string, options: BackupOptions): Promise<void> {
  const data = resolve(dataDirectory(options))
  const lock = await lockOrFail(data, 'coordinator', resolve(options.project))
  try {
    const { manifest, movedTo, kept } = await restoreCoordinator(data, resolve(file))
    if (options.json) {
      process.stdout.write(`${JSON.stringify({ data, moved_to: movedTo, kept, ...manifest }, null, 2)}\n`)
      return
    }
    process.stdout.write(`restored ${contents(manifest)} of ${manifest.created_at} to ${data}\n`)
    if (movedTo !== null) process.stdout.write(`what was there is in ${movedTo}\n`)
    for (const path of kept) process.stdout.write(`kept: ${path}, which is not that of the backup\n`)
    process.stdout.write(
      'when it starts, the coordinator imports from Temporal what ran since, before it admits anything\n',
    )
  } finally {
    lock.release()
  }
}

function contents({ files }: Manifest): string {
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const databases = files.filter(({ path }) => path.endsWith('.sqlite')).length
  const keys = files.length - databases
  return `${databases} databases and ${keys} files of keys and certificates (${(bytes / 1e6).toFixed(1)} MB)`
}
