import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { exponentialWait } from '../../../../shared/backoff.ts'
import type { JournalConfig } from '../../../../shared/config.ts'
import { messageOf } from '../../../../shared/log.ts'
import { keptState } from '../kept-state.ts'
import { type LinePattern, linePattern } from '../matching/line-pattern.ts'
import { MatchWindow, matchWindowState } from '../matching/match-window.ts'
import { Notices } from '../matching/notices.ts'
import type { Observation } from '../observation.ts'
import type { Notice, Source } from '../source.ts'
import { type JournalEntry, timeOf } from './journal-entry.ts'
import { findEntry, followEntries, type JournalStart } from './journalctl.ts'

const stateSchema = z.object({
  kind: z.literal('journal'),
  version: z.literal(1),
  /** A cursor says nothing in another directory's journal. */
  directory: z.string().nullable(),
  /** Matches of another pattern don't count. */
  pattern: z.string(),
  matches: matchWindowState,
  /** The last entry that was read; null before the first. */
  cursor: z.string().min(1).nullable(),
})

/** Length of a message that is matched, in bytes. */
const MAX_MESSAGE_BYTES = 64 * 1024
/** Milliseconds that `journalctl` must run before it is believed that it shows what there is. */
const IDLE_MS = 1000
/** Milliseconds that the first poll waits for that. */
const FIRST_POLL_TIMEOUT_MS = 10_000
const BACKOFF_MS = { first: 1000, max: 60_000 }
/** One that ran for this long is started again without delay. */
const CALM_AFTER_MS = 60_000
/** What it prints when it hides entries from this user; it continues with the others. */
const NOT_ALLOWED = /not seeing messages from other users|insufficient permissions/

/**
 * Counts the entries of the systemd journal that have a pattern.
 *
 * @param state what {@link Source.state} gave before a restart; anything else is ignored, with a notice
 */
export function followJournal(config: JournalConfig, state: unknown): Required<Source> {
  return new FollowedJournal(config, state)
}

class FollowedJournal implements Required<Source> {
  readonly #config: JournalConfig
  readonly #pattern: LinePattern
  readonly #window: MatchWindow
  readonly #notices = new Notices()
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  #cursor: string | null
  /** It has been seen to be empty: all that comes is new. */
  #wasEmpty = false
  /** Why it is unknown what fires. */
  #problem: string | null = 'journalctl has not been started yet'
  /** Resolves when that is known for the first time. */
  readonly #known = Promise.withResolvers<void>()

  constructor(config: JournalConfig, state: unknown) {
    this.#config = config
    this.#pattern = linePattern(config.pattern)
    const kept = keptState(stateSchema, 'journal_state_unusable', state, this.#notices)
    this.#window = new MatchWindow(config, kept?.pattern === config.pattern ? kept.matches : undefined)
    this.#cursor = kept?.directory === (config.directory ?? null) ? kept.cursor : null
  }

  async observe(now: number): Promise<Observation> {
    if (this.#running === undefined) {
      this.#running = this.#run()
      // A single poll (`--once`) must return something.
      await Promise.race([this.#known.promise, sleep(FIRST_POLL_TIMEOUT_MS, undefined, { ref: false })])
    }
    const observation = this.#window.observe(now)
    return this.#problem === null ? observation : { unknown: this.#problem }
  }

  state(): z.output<typeof stateSchema> {
    return {
      kind: 'journal',
      version: 1,
      directory: this.#config.directory ?? null,
      pattern: this.#config.pattern,
      matches: this.#window.state(),
      cursor: this.#cursor,
    }
  }

  notices(): Notice[] {
    return this.#notices.take()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** Keeps `journalctl` running. Never throws. */
  async #run(): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      const began = performance.now()
      try {
        await this.#follow(signal)
      } catch (error) {
        if (!signal.aborted) this.#tellProblem(messageOf(error))
      }
      failures = performance.now() - began >= CALM_AFTER_MS ? 1 : failures + 1
      await sleep(exponentialWait(failures, BACKOFF_MS), undefined, { signal }).catch(() => undefined)
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const start = await this.#start(signal)
    // The one that was read last comes again.
    let expected = start !== 'oldest' && start.cursor === this.#cursor ? this.#cursor : null
    let allowed = true
    const timer = setTimeout(() => {
      if (!allowed) return
      this.#problem = null
      this.#known.resolve()
    }, IDLE_MS)
    try {
      await followEntries(
        this.#config,
        start,
        {
          entry: (entry) => {
            if (entry.cursor !== expected) this.#take(entry)
            expected = null
          },
          unreadable: (detail) => this.#notices.add({ event: 'journal_entry_unreadable', level: 'warn', detail }),
          says: (text) => {
            if (!NOT_ALLOWED.test(text)) return
            allowed = false
            this.#tellProblem(
              `no permission to read the journal: run as root or in the group systemd-journal (${text})`,
            )
          },
        },
        signal,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  /** Where to begin: after what was read last, or at the first start after what is there. */
  async #start(signal: AbortSignal): Promise<JournalStart> {
    const cursor = this.#cursor
    if (cursor !== null) {
      const entry = await findEntry(this.#config, cursor, signal)
      if (entry?.cursor !== cursor) this.#tellLost(cursor)
      if (entry !== null) return entry
    }
    const newest = await findEntry(this.#config, null, signal)
    if (newest === null) {
      this.#wasEmpty = true
      throw new Error('the journal has no entries')
    }
    if (cursor === null && this.#wasEmpty) return 'oldest'
    this.#cursor = newest.cursor
    return newest
  }

  #take(entry: JournalEntry): void {
    this.#cursor = entry.cursor
    if (entry.message === null) return
    // As of a log's lines, the carriage return is no part of the text.
    const text = entry.message.replaceAll(/\r(?=\n|$)/g, '')
    const message = text.slice(0, MAX_MESSAGE_BYTES)
    if (message.length < text.length) {
      const detail = `only the first ${MAX_MESSAGE_BYTES} of ${text.length} characters of a message of ${entry.from} are matched`
      this.#notices.add({ event: 'journal_message_cut', level: 'warn', detail })
    }
    const labels = this.#pattern.match(message)
    if (labels !== null) this.#window.add(labels, Math.min(entry.at, Date.now()), entry.from, message)
  }

  #tellLost(cursor: string): void {
    const since = timeOf(cursor)
    this.#notices.add({
      event: 'journal_entries_lost',
      level: 'warn',
      ...(since === null ? {} : { since: new Date(since).toISOString() }),
      detail: 'the entry that was read last no longer exists, and later ones may be lost too',
    })
  }

  #tellProblem(problem: string): void {
    if (problem !== this.#problem) this.#notices.add({ event: 'journal_unreadable', level: 'warn', detail: problem })
    this.#problem = problem
    this.#known.resolve()
  }
}
