/**
 * What the detector daemon knows, on disk: so that a restart in the middle of an episode doesn't trigger it a second
 * time, and no line is read twice or not at all. An SQLite database, synced at each commit.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { log, messageOf } from '../../shared/log.ts'
import type { SignalEpisode } from '../../shared/wire.ts'
import { takeRoom } from '../process/sqlite-space.ts'
import { type Episode, type Episodes, shiftEpisodes } from './episodes.ts'

/** After a longer absence than this, in milliseconds, and than two polls, a condition that holds is a new episode. */
const MAX_DOWNTIME_MS = 3_600_000
/** How old what is written may become while nothing changes, in milliseconds. */
const REFRESH_INTERVAL_MS = 60_000
/** Reports that wait to be sent, at most; the oldest go first. */
const MAX_REPORTS = 10_000
/** Room that it takes for itself while there is some, in pages: what fills a disk is to be triggered on a full one. */
const RESERVED_PAGES = 256
/** Pages after which its log is restarted: fewer than its reserved space. */
const CHECKPOINT_PAGES = 64
/** SQLite's codes for a file that is not a database, or corrupt. */
const BROKEN = new Set([11, 26])

/** The state of one detector. */
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

/** Thrown when what an earlier run left can't be read: without it, what that has triggered would be triggered again. */
export class StateUnreadable extends Error {}

/** A detector's row. */
interface Written {
  at: number
  limited: string
  source: string
  episodes: ReadonlyMap<string, { episode: Episode; text: string }>
}

/** The states of all detectors, and the reports that are not sent yet. */
export class DetectorStore {
  readonly #path: string
  readonly #readsOnly: boolean
  #database: DatabaseSync | null = null
  /** The rows that were written last, so that only changes are written. */
  readonly #written = new Map<string, Written>()
  #failing = false

  /**
   * Opens the database; one that is broken is put aside, and says so.
   *
   * @param readsOnly for a process that reads while the daemon runs: it creates no file
   * @throws StateUnreadable when it can't be opened
   */
  constructor(path: string, { readsOnly = false } = {}) {
    this.#path = path
    this.#readsOnly = readsOnly
    if (readsOnly && !existsSync(path)) return
    try {
      this.#database = readsOnly ? new DatabaseSync(path, { readOnly: true, timeout: 5000 }) : open(path)
    } catch (error) {
      if (!readsOnly && isBroken(error)) this.#database = this.#openAnew(error)
      else throw this.#unreadable(error)
    }
  }

  /**
   * What an earlier run, or this one, left of a detector.
   *
   * @throws StateUnreadable when that is unknown
   */
  load(name: string, interval: number, now: number): DetectorState {
    const none: DetectorState = { episodes: new Map(), limited: [], source: null }
    if (this.#database === null) return none
    try {
      const row = this.#database.prepare('SELECT saved_at, state FROM detectors WHERE name = ?').get(name)
      if (row === undefined) return none
      const rows = this.#database.prepare('SELECT fingerprint, episode FROM episodes WHERE detector = ?').all(name)
      const stored = rows.map((one) => [String(one.fingerprint), JSON.parse(String(one.episode)) as Episode] as const)
      const { limited, source } = JSON.parse(String(row.state)) as StoredState
      const absence = now - Number(row.saved_at)
      const isRecent = absence <= Math.max(MAX_DOWNTIME_MS, 2 * interval)
      // When the clock was set back meanwhile, no time in the future may keep a condition from triggering.
      const episodes = shiftEpisodes(new Map(isRecent ? stored : []), Math.min(0, absence))
      return { episodes, limited, source }
    } catch (error) {
      if (!this.#readsOnly && isBroken(error)) this.#database = this.#openAnew(error)
      else throw this.#unreadable(error)
      return none
    }
  }

  /**
   * Stores the state of a detector, and adds reports of episodes; earlier reports of these are not
   * said any more. What a condition measures is not kept while nothing else changes: a thousand series change each time.
   *
   * @returns false when it can't be written, which is said
   */
  save(name: string, state: DetectorState, now: number, reports: readonly SignalEpisode[] = []): boolean {
    const last = this.#written.get(name)
    const next = writtenOf(state, last, now)
    const changed = [...next.episodes].filter(([key, { text }]) => last?.episodes.get(key)?.text !== text)
    const gone = [...(last?.episodes.keys() ?? [])].filter((key) => !next.episodes.has(key))
    const same = changed.length + gone.length + reports.length === 0
    const sameHead = last !== undefined && last.limited === next.limited && last.source === next.source
    // Also when nothing changes, so that a long episode doesn't count as an old one after a restart.
    if (same && sameHead && now - last.at < REFRESH_INTERVAL_MS && now >= last.at) return true
    const done = this.#try((database) =>
      inTransaction(database, () => {
        const head = { limited: state.limited, source: state.source } satisfies StoredState
        database
          .prepare('INSERT INTO detectors VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET saved_at = ?2, state = ?3')
          .run(name, now, JSON.stringify(head))
        if (last === undefined) database.prepare('DELETE FROM episodes WHERE detector = ?').run(name)
        const put = database.prepare('INSERT OR REPLACE INTO episodes VALUES (?, ?, ?)')
        for (const [key, { episode }] of changed) put.run(name, key, JSON.stringify(episode))
        const remove = database.prepare('DELETE FROM episodes WHERE detector = ? AND fingerprint = ?')
        for (const key of gone) remove.run(name, key)
        addReports(database, reports)
        return true
      }),
    )
    if (done === null) return false
    this.#written.set(name, next)
    return true
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

  /**
   * Forgets reports that were taken. One that was replaced meanwhile has another number.
   *
   * @returns false when they can't be forgotten
   */
  taken(reports: readonly WaitingReport[]): boolean {
    const done = this.#try((database) =>
      inTransaction(database, () => {
        const statement = database.prepare('DELETE FROM reports WHERE number = ?')
        for (const { number } of reports) statement.run(number)
        return true
      }),
    )
    return done !== null
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

  #openAnew(error: unknown): DatabaseSync {
    const aside = `${this.#path}.broken-${Date.now()}`
    log('error', 'detector_state_broken', { file: this.#path, put_aside: aside, detail: messageOf(error) })
    try {
      this.#database?.close()
      renameSync(this.#path, aside)
      return open(this.#path)
    } catch (second) {
      throw this.#unreadable(second)
    }
  }

  #unreadable(error: unknown): StateUnreadable {
    return new StateUnreadable(`what was triggered before can't be read from ${this.#path}: ${messageOf(error)}`)
  }

  /** Said once for as long as it lasts. */
  #fails(error: unknown): void {
    if (!this.#failing) log('error', 'detector_state_not_written', { file: this.#path, detail: messageOf(error) })
    this.#failing = true
  }
}

interface StoredState {
  limited: readonly number[]
  source: unknown
}

/** @param last what of it needs not be made again */
function writtenOf({ episodes, limited, source }: DetectorState, last: Written | undefined, at: number): Written {
  const written = [...episodes].map(([key, episode]) => {
    const before = last?.episodes.get(key)
    if (before?.episode === episode) return [key, before] as const
    return [key, { episode, text: JSON.stringify({ ...episode, firing: null }) }] as const
  })
  return { at, limited: JSON.stringify(limited), source: JSON.stringify(source), episodes: new Map(written) }
}

function addReports(database: DatabaseSync, reports: readonly SignalEpisode[]): void {
  if (reports.length === 0) return
  const put = database.prepare('INSERT OR REPLACE INTO reports (episode, document) VALUES (?, ?)')
  for (const report of reports) {
    const { source, name, fingerprint, began } = report
    put.run(JSON.stringify([source, name, fingerprint, began]), JSON.stringify(report))
  }
  database.prepare('DELETE FROM reports WHERE number <= (SELECT max(number) FROM reports) - ?').run(MAX_REPORTS)
}

function inTransaction<Result>(database: DatabaseSync, action: () => Result): Result {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = action()
    database.exec('COMMIT')
    return result
  } catch (error) {
    // A full disk may have ended it already.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function open(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(path, { timeout: 5000 })
  try {
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      CREATE TABLE IF NOT EXISTS detectors (name TEXT PRIMARY KEY, saved_at INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS episodes (
        detector TEXT NOT NULL, fingerprint TEXT NOT NULL, episode TEXT NOT NULL, PRIMARY KEY (detector, fingerprint)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS reports (
        number INTEGER PRIMARY KEY AUTOINCREMENT, episode TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
    `)
    makeRoom(path, database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && BROKEN.has(Number(error.errcode) & 0xff)
}

function makeRoom(file: string, database: DatabaseSync): void {
  try {
    takeRoom(database, RESERVED_PAGES)
  } catch (error) {
    // What can't be written down won't be triggered; it is tried at each poll.
    log('warn', 'detector_state_without_room', { file, detail: messageOf(error) })
  }
}
