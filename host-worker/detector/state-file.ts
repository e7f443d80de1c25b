/** Episodes on disk, so that a restart in the middle of one doesn't trigger it a second time. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { log, messageOf } from '../../shared/log.ts'
import type { Episode, Episodes } from './episodes.ts'

/** After a longer absence than this, in milliseconds, and than two polls, a condition that holds is a new episode. */
const LONGEST_ABSENCE = 15 * 60_000

/** How old the file may become while the daemon runs, in milliseconds. */
const REFRESH = 60_000

interface StateFile {
  version: 1
  saved_at: number
  detectors: Record<string, [string, Episode][]>
}

/** The episodes of all detectors, kept in one file. */
export class EpisodeStore {
  readonly #path: string | null
  readonly #detectors = new Map<string, Episodes>()
  #written = ''
  #writtenAt = 0
  #writing: Promise<void> = Promise.resolve()

  /** @param path null keeps nothing */
  constructor(path: string | null) {
    this.#path = path
  }

  /** Reads what an earlier run left; `longestInterval` of all detectors in milliseconds. A file that can't be read is as good as none, and says so. */
  async load(now: number, longestInterval = 0): Promise<void> {
    if (this.#path === null) return
    try {
      const state = JSON.parse(await readFile(this.#path, 'utf8')) as StateFile
      if (state.version !== 1 || now - state.saved_at > Math.max(LONGEST_ABSENCE, 2 * longestInterval)) return
      for (const [name, episodes] of Object.entries(state.detectors)) this.#detectors.set(name, new Map(episodes))
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing) log('warn', 'episodes_unreadable', { file: this.#path, detail: messageOf(error) })
    }
  }

  get(detector: string): Episodes {
    return this.#detectors.get(detector) ?? new Map()
  }

  /** Keeps a detector's episodes, and writes the file when they changed. */
  async set(detector: string, episodes: Episodes): Promise<void> {
    this.#detectors.set(detector, episodes)
    const path = this.#path
    if (path === null) return
    const detectors = Object.fromEntries([...this.#detectors].map(([name, kept]) => [name, [...kept]]))
    const content = JSON.stringify(detectors)
    const now = Date.now()
    // Also written when nothing changed, so that a long episode isn't taken for an old one after a restart.
    const fresh = this.#detectors.size === 0 || now - this.#writtenAt < REFRESH
    if (content === this.#written && fresh) return
    this.#written = content
    this.#writtenAt = now
    this.#writing = this.#writing.then(() => replace(path, `{"version":1,"saved_at":${now},"detectors":${content}}`))
    await this.#writing
  }
}

async function replace(path: string, content: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(`${path}.new`, content)
    await rename(`${path}.new`, path)
  } catch (error) {
    log('warn', 'episodes_not_written', { file: path, detail: messageOf(error) })
  }
}
