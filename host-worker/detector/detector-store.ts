/**
 * What the detector daemon knows, on disk: so that a restart in the middle of an episode doesn't trigger it a second
 * time, and no line is read twice or not at all. An SQLite database, synced at each commit.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode } from '../../shared/wire.ts'
import type { Episode, Episodes } from './episodes.ts'

/** After a longer absence than this, in milliseconds, and than two looks, a condition that holds is a new episode. */
const LONGEST_ABSENCE = 3_600_000
/** How old what is written may become while nothing changes, in milliseconds. */
const REFRESH = 60_000
/** Reports that wait to be sent, at most; the oldest go first. */
const MOST_REPORTS = 10_000
/** SQLite's codes for a file that is none of its own, or broken. */
const BROKEN = new Set([11, 26])

/** What is known of one detector. */
export interface DetectorState {
  episodes: Episodes
  /** When new triggers went out, as far as its limit needs it. */
  limited: readonly number[]
  /** Its source's own state, null before there is one. */
  source: unknown
}

/** A report that waits to be sent. */
export interface WaitingReport {
  number: number
  episode: SignalEpisode
}

/** The states of all detectors, and the reports that nobody has taken yet. */
export class DetectorStore {
  readonly #path: string
  readonly #readsOnly: boolean
  #database: DatabaseSync | null = null
  /** What was written last, so that only what changes is written. */
  readonly #written = new Map<string, { text: string; at: number }>()
  #failing = false

  /**
   * Opens the database; one that is broken is put aside, and says so.
   *
   * @param readsOnly for somebody who looks on while the daemon runs: without a file there is nothing to see
   */
  constructor(path: string, { readsOnly = false } = {}) {
    this.#path = path
    this.#readsOnly = readsOnly
    if (readsOnly && !existsSync(path)) return
    try {
      this.#database = readsOnly ? new DatabaseSync(path, { readOnly: true, timeout: 5000 }) : open(path)
    } catch (error) {
      if (readsOnly) this.#fails(error)
      else if (isBroken(error)) this.#database = this.#openAnew(error)
      else this.#fails(error)
    }
  }

  /** What an earlier run, or this one, left of a detector. */
  load(name: string, interval: number, now: number): DetectorState {
    const none: DetectorState = { episodes: new Map(), limited: [], source: null }
    const row = this.#try((database) =>
      database.prepare('SELECT saved_at, state FROM detectors WHERE name = ?').get(name),
    )
    if (row === undefined || row === null) return none
    const { episodes, limited, source } = JSON.parse(String(row.state)) as StoredState
    const isRecent = now - Number(row.saved_at) <= Math.max(LONGEST_ABSENCE, 2 * interval)
    return { episodes: new Map(isRecent ? episodes : []), limited, source }
  }

  /** Keeps what is known of a detector. What can't be written is said; the detector goes on with what it has in memory. */
  save(name: string, { episodes, limited, source }: DetectorState, now: number): void {
    const text = JSON.stringify({ episodes: [...episodes], limited, source } satisfies StoredState)
    const last = this.#written.get(name)
    // Also when nothing changes, so that a long episode isn't taken for an old one after a restart.
    if (last?.text === text && now - last.at < REFRESH && now >= last.at) return
    const done = this.#try((database) =>
      database
        .prepare('INSERT INTO detectors VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET saved_at = ?2, state = ?3')
        .run(name, now, text),
    )
    if (done !== null) this.#written.set(name, { text, at: now })
  }

  /** Has how an episode stands reported; what was to be said of it before is not said any more. */
  report(episode: SignalEpisode): void {
    const { source, name, fingerprint, began } = episode
    this.#try((database) => {
      database
        .prepare('INSERT OR REPLACE INTO reports (episode, document) VALUES (?, ?)')
        .run(JSON.stringify([source, name, fingerprint, began]), JSON.stringify(episode))
      database.prepare('DELETE FROM reports WHERE number <= (SELECT max(number) FROM reports) - ?').run(MOST_REPORTS)
    })
  }

  /** The reports that wait, the oldest first. */
  reports(most: number): WaitingReport[] {
    const rows = this.#try((database) =>
      database.prepare('SELECT number, document FROM reports ORDER BY number LIMIT ?').all(most),
    )
    return (rows ?? []).map(({ number, document }) => ({
      number: Number(number),
      episode: JSON.parse(String(document)) as SignalEpisode,
    }))
  }

  /** Forgets reports that were taken. One that was replaced meanwhile has another number. */
  taken(reports: readonly WaitingReport[]): void {
    this.#try((database) => {
      const statement = database.prepare('DELETE FROM reports WHERE number = ?')
      for (const { number } of reports) statement.run(number)
    })
  }

  close(): void {
    this.#database?.close()
    this.#database = null
  }

  /** @returns null when it couldn't be done */
  #try<Result>(action: (database: DatabaseSync) => Result): Result | null {
    if (this.#database === null) return null
    try {
      const result = action(this.#database)
      this.#failing = false
      return result
    } catch (error) {
      this.#fails(error)
      return null
    }
  }

  #openAnew(error: unknown): DatabaseSync | null {
    const aside = `${this.#path}.broken-${Date.now()}`
    log('error', 'detector_state_broken', { file: this.#path, put_aside: aside, detail: messageOf(error) })
    try {
      renameSync(this.#path, aside)
      return open(this.#path)
    } catch (second) {
      this.#fails(second)
      return null
    }
  }

  /** Said once for as long as it lasts. */
  #fails(error: unknown): void {
    const event = this.#readsOnly ? 'detector_state_not_read' : 'detector_state_not_written'
    if (!this.#failing) log('error', event, { file: this.#path, detail: messageOf(error) })
    this.#failing = true
  }
}

interface StoredState {
  episodes: [string, Episode][]
  limited: readonly number[]
  source: unknown
}

function open(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(path, { timeout: 5000 })
  try {
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS detectors (name TEXT PRIMARY KEY, saved_at INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS reports (
        number INTEGER PRIMARY KEY AUTOINCREMENT, episode TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
    `)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && BROKEN.has(Number(error.errcode) & 0xff)
}
