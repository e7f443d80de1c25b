/** Reads all logs that some patterns name, each line once. */
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { messageOf } from '../../../../shared/log.ts'
import type { Notices } from '../matching/notices.ts'
import { type FileState, fileState, type OnLine, readBuffer } from './followed-file.ts'
import { FollowedLog, logState } from './followed-log.ts'
import type { Poll } from './losses.ts'
import { type PathPattern, pathPattern } from './path-pattern.ts'
import { isCompressed, rotatedFrom } from './rotation-names.ts'
import { Moved } from './snapshot.ts'

/** The paths to follow, and how. */
export interface LogOptions {
  /** Absolute paths with `*` and `?`. */
  files: readonly string[]
  /** Where to begin with files that are there at the very first start. Those that appear later are read from their beginning. */
  from: 'beginning' | 'end'
  /** The poll interval, in milliseconds. */
  interval: number
  onLine: OnLine
  notices: Notices
}

/** Positions as plain JSON. */
export const followerState = z.object({
  files: z.array(z.string()),
  looked: z.number().nullable(),
  logs: z.array(logState),
  /** Paths that were there at the very first start, and could not be opened yet. */
  waiting: z.array(z.string()),
  /** Where files were read to that are gone, and since when; absent in states of earlier versions. */
  departed: z.array(z.object({ path: z.string(), at: z.number(), file: fileState })).default([]),
})

const MINUTE_MS = 60_000
/** More means that the path pattern is too broad. */
const MAX_LOGS = 500
/** How long it is kept where a file was read to that is gone, in milliseconds; and of how many files. */
const DEPARTED_LIFE_MS = 7 * 24 * 3_600_000
const MAX_DEPARTED = 500
/** Bytes read at a poll; more is left to the next ones, so that nothing else has to wait for long. */
const MAX_BYTES_PER_READ = 16 * 1024 * 1024

/**
 * Follows logs through rotation: renamed and created again, several times between two polls and while it
 * did not run; removed; copied and truncated, also when they grew beyond the old position before the next poll.
 *
 * Not `@logdna/tail-file` (4.0.2), which is fine for one file: it knows a truncation by the size alone, loses what was
 * rotated twice between two polls or while it did not run, and reads nothing that comes late to a file that was renamed.
 */
export class LogFollower {
  readonly #options: LogOptions
  readonly #patterns: PathPattern[]
  readonly #logs = new Map<string, FollowedLog>()
  readonly #waiting: Set<string>
  /** Patterns whose files existed at the beginning of a poll: what they match newly has appeared since. */
  readonly #known: Set<string>
  #departed: z.output<typeof followerState>['departed']
  #polledAt: number | null
  #turn = 0
  #lagging = false
  #problems: string[] = []

  constructor(options: LogOptions, state?: z.output<typeof followerState>) {
    this.#options = options
    this.#patterns = options.files.map(pathPattern)
    this.#known = new Set(state?.files)
    this.#polledAt = state?.looked ?? null
    this.#waiting = new Set(state?.waiting)
    this.#departed = state?.departed ?? []
    for (const log of state?.logs ?? []) {
      if (this.#isMeant(log.path)) this.#logs.set(log.path, new FollowedLog(log.path, options.notices, log))
    }
  }

  state(): z.output<typeof followerState> {
    return {
      files: [...this.#options.files],
      // Not to the millisecond: what says the same each time need not be written each time.
      looked: this.#polledAt === null ? null : Math.floor(this.#polledAt / MINUTE_MS) * MINUTE_MS,
      logs: [...this.#logs.values()].map((log) => log.state()),
      waiting: [...this.#waiting],
      departed: [...this.#departed],
    }
  }

  /**
   * Reads what there is. Never throws, and never concurrently.
   *
   * @returns why not all of it can be read; null when it can
   */
  async poll(now: number): Promise<string | null> {
    const problems: string[] = []
    const paths = await this.#paths(problems)
    await this.#find(paths, now, problems)
    await this.#read(now, problems)
    this.#polledAt = now
    this.#tellProblems(problems)
    return problems[0] ?? null
  }

  async close(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.close()))
  }

  #isMeant(path: string): boolean {
    return this.#patterns.some((pattern) => pattern.matches(path))
  }

  /** The logs that there are by name: neither compressed files nor the older generations of another log. */
  async #paths(problems: string[]): Promise<string[]> {
    const found = new Set<string>()
    for (const pattern of this.#patterns) {
      try {
        const paths = await pattern.expand()
        for (const path of paths) if (pattern.literal || !isCompressed(path)) found.add(path)
      } catch (error) {
        problems.push(`${pattern.text}: ${messageOf(error)}`)
      }
    }
    const isOlder = (path: string): boolean =>
      rotatedFrom(basename(path)).some((name) => {
        const log = join(dirname(path), name)
        return found.has(log) || this.#logs.has(log)
      })
    const logs = [...new Set([...this.#logs.keys(), ...[...found].filter((path) => !isOlder(path))])]
    if (logs.length > MAX_LOGS) problems.push(`more than ${MAX_LOGS} files match ${this.#options.files.join(', ')}`)
    return logs.slice(0, MAX_LOGS)
  }

  async #find(paths: readonly string[], now: number, problems: string[]): Promise<void> {
    for (const path of paths) {
      const log = this.#logs.get(path) ?? new FollowedLog(path, this.#options.notices)
      const poll = this.#pollOf(log, now)
      try {
        if (this.#logs.has(path)) await log.find(poll)
        else if (this.#isOld(path)) await log.begin(poll, this.#options.from)
        else await log.find(poll)
        this.#logs.set(path, log)
        this.#waiting.delete(path)
        const isNamed = this.#options.files.includes(path)
        if (log.isEmpty && !isNamed) this.#logs.delete(path)
      } catch (error) {
        if (!this.#logs.has(path) && this.#isOld(path)) this.#waiting.add(path)
        // Otherwise they are found at the next poll.
        if (!(error instanceof Moved)) problems.push(messageOf(error))
      }
    }
    for (const file of this.#options.files) this.#known.add(file)
  }

  /** Whether a file that is not followed yet existed before the first poll for it. */
  #isOld(path: string): boolean {
    if (this.#waiting.has(path)) return true
    return !this.#patterns.some((pattern) => this.#known.has(pattern.text) && pattern.matches(path))
  }

  #pollOf(log: FollowedLog, now: number): Poll {
    return {
      now,
      last: this.#polledAt,
      interval: this.#options.interval,
      isOthers: (key) => [...this.#logs.values()].some((other) => other !== log && other.reads(key)),
      isLog: (path) => this.#logs.has(path),
      departed: (path) => this.#departed.filter((one) => one.path === path).map(({ file }) => file),
      depart: (path, file) => this.#depart(path, file, now),
    }
  }

  #depart(path: string, file: FileState, now: number): void {
    if (file.position === 0) return
    const others = this.#departed.filter(
      (one) => now - one.at < DEPARTED_LIFE_MS && !(one.path === path && one.file.key === file.key),
    )
    this.#departed = [{ path, at: now, file }, ...others].slice(0, MAX_DEPARTED)
  }

  async #read(now: number, problems: string[]): Promise<void> {
    const logs = [...this.#logs.values()]
    const buffer = readBuffer()
    let left = MAX_BYTES_PER_READ
    // Another one comes first each time: one that grows without end must not keep the others waiting.
    this.#turn += 1
    for (const index of logs.keys()) {
      const log = logs[(index + this.#turn) % logs.length]
      if (log === undefined) continue
      try {
        left -= await log.read(this.#pollOf(log, now), buffer, left, this.#options.onLine)
      } catch (error) {
        problems.push(messageOf(error))
      }
    }
    const lags = left <= 0
    if (lags !== this.#lagging) {
      const bytes = logs.reduce((sum, { unread }) => sum + unread, 0)
      this.#options.notices.add({ event: lags ? 'log_lags' : 'log_caught_up', level: lags ? 'warn' : 'info', bytes })
    }
    this.#lagging = lags
  }

  #tellProblems(problems: string[]): void {
    for (const detail of problems) {
      if (!this.#problems.includes(detail))
        this.#options.notices.add({ event: 'log_unreadable', level: 'warn', detail })
    }
    this.#problems = problems
  }
}
