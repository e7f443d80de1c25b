/** Looks for new keys and secrets: workerd is given them only when it starts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log, messageOf } from '../../shared/log.ts'
import { fileVersion } from '../process/file-version.ts'
import type { Backend } from './backend.ts'
import { secretFiles } from './secrets.ts'

/** How often the files of secrets are checked for changes. */
const POLL_INTERVAL_MS = 2000
/** Files that could not be read are tried again, and reported again, after this time, if nothing in them changes before. */
const RETRY_INTERVAL_MS = 60_000
/** The version of a file that can't be found. */
const MISSING = 'missing'

/** Files that are checked for changes. */
interface Watched {
  files: readonly string[]
  /** What is in them, as log events name it. */
  kind: 'permit_keys' | 'secrets'
  /** Their version when they were last read. */
  known: string
  /** Their version when they were last looked at. */
  seen: string
  /** Their version when they could not be read, and when that was by the process's clock, in milliseconds. */
  failed: { version: string; at: number } | null
}

/** Has a backend renewed as soon as a key or a secret is another one, until stopped. */
export async function watchSecrets(backend: Backend, data: string, signal: AbortSignal): Promise<void> {
  let loaded = backend.loaded
  let watched = await watchedOf(backend, data)
  while (!signal.aborted) {
    await sleep(POLL_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
    if (backend.loaded !== loaded) {
      loaded = backend.loaded
      watched = await watchedOf(backend, data)
    }
    for (const each of watched) {
      const now = await versionOf(each.files)
      // A file that is missing may be about to be replaced; it is missing when it is so twice. Keys that sign permits are
      // never made again while they are in use.
      const isSettled = !now.includes(MISSING) || (now === each.seen && each.kind === 'secrets')
      each.seen = now
      if (signal.aborted || now === each.known || !isSettled || !mayRetry(each.failed, now)) continue
      try {
        await backend.renew()
        if (!signal.aborted) log('info', `${each.kind}_reloaded`)
        Object.assign(each, { known: now, failed: null })
      } catch (error) {
        log('error', `${each.kind}_not_reloaded`, { detail: messageOf(error) })
        each.failed = { version: now, at: performance.now() }
      }
    }
  }
}

async function watchedOf({ loaded: { project } }: Backend, data: string): Promise<Watched[]> {
  const [keyFile = '', ...others] = secretFiles(project.dir, data, project.coordinator)
  return [
    { files: [keyFile], kind: 'permit_keys', known: await versionOf([keyFile]), seen: '', failed: null },
    { files: others, kind: 'secrets', known: await versionOf(others), seen: '', failed: null },
  ]
}

async function versionOf(files: readonly string[]): Promise<string> {
  return String(await Promise.all(files.map(async (file) => fileVersion(file).catch(() => MISSING))))
}

function mayRetry(failed: Watched['failed'], version: string): boolean {
  return failed === null || failed.version !== version || performance.now() - failed.at > RETRY_INTERVAL_MS
}
