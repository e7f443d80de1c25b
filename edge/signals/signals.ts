import { DurableObject } from 'cloudflare:workers'
import QuickLRU from 'quick-lru'
import { isExecutionId } from '../../shared/execution-id.ts'
import { log } from '../../shared/log.ts'
import type { ExecutionStatus, SignalEpisode, SignalSummary } from '../../shared/wire.ts'
import { migrate } from '../migrate.ts'
import { analyse, type Episode } from './analysis.ts'

/** How long episodes are kept: a day longer than they are analysed. */
const RETENTION_MS = 31 * 24 * 3_600_000
/** Episodes, and executions, that are kept at most; the oldest go first. */
const MAX_ROWS = 100_000
/** How far in the future an episode may begin, in milliseconds: it would never grow old, and outlive all others. */
const MAX_AHEAD_MS = 300_000
/** Statuses that an execution leaves again. */
const TRANSIENT = ['awaiting_approval', 'pending', 'running', 'lost'] as const satisfies readonly ExecutionStatus[]
/** The status here of an execution that no ledger knows, so that none is asked about it again. */
const UNKNOWN = 'unknown'
/** Executions that are asked about at once: ledgers have better things to do than to answer for a long list. */
const RESOLVE_BATCH = 1000
/** Signals in a list. */
const MAX_SIGNALS = 1000
/**
 * How long sums are good for, in milliseconds for each episode that is in them: to sum up a hundred thousand takes up to a
 * second, in which nothing else is done, and no caller may have that done all the time. A few are summed up at once.
 */
const CACHE_MS_PER_EPISODE = 0.1
/** Summaries that are cached, each for another filter. */
const MAX_CACHED_FILTERS = 16
/** How many are forgotten at once. */
const FORGET_BATCH = 1000

/** Which signals are asked for; what is not given fits any. */
export type SignalFilter = Partial<Pick<Episode, 'source' | 'name' | 'workflow'>>

/**
 * The episodes of signals of the last month, for their analysis. Nothing is decided by what is here, and no ledger waits
 * for it.
 *
 * There is one for each coordinator.
 */
export class Signals extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #summaries = new QuickLRU<string, { at: number; episodes: number; summaries: SignalSummary[] }>({
    maxSize: MAX_CACHED_FILTERS,
  })

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, SIGNALS_MIGRATIONS)
    this.#sql = ctx.storage.sql
  }

  /** Records the state of episodes. A state that is older than the recorded one changes nothing. */
  record(episodes: readonly SignalEpisode[]): void {
    const now = Date.now()
    const begun = episodes.filter(({ began }) => Date.parse(began) <= now + MAX_AHEAD_MS)
    if (begun.length < episodes.length) {
      const detail = 'episodes that begin in the future are left out'
      log('warn', 'signals_not_recorded', { detail, episodes: episodes.length - begun.length })
    }
    this.ctx.storage.transactionSync(() => {
      for (const episode of begun) this.#put(episode)
    })
    this.#forget(now)
  }

  /** The effectiveness of signals, those that fired last. With many episodes the result may be some seconds old. */
  summaries(filter: SignalFilter): SignalSummary[] {
    const key = JSON.stringify([filter.source, filter.name, filter.workflow])
    const now = Date.now()
    const known = this.#summaries.get(key)
    if (known !== undefined && now >= known.at && now - known.at < Math.floor(known.episodes * CACHE_MS_PER_EPISODE))
      return known.summaries
    const episodes = this.#episodes(filter)
    const summaries = analyse(episodes, now).slice(0, MAX_SIGNALS)
    this.#summaries.set(key, { at: now, episodes: episodes.length, summaries })
    return summaries
  }

  /** Executions whose end is unknown, newest first: as many as may be queried at once. */
  unresolved(): string[] {
    const passing = TRANSIENT.map((status) => `'${status}'`).join(', ')
    return this.#sql
      .exec<{ id: string }>(
        `SELECT id FROM executions WHERE status IS NULL OR status IN (${passing})
         ORDER BY status IS NOT NULL, at DESC LIMIT ?`,
        RESOLVE_BATCH,
      )
      .toArray()
      .map(({ id }) => id)
  }

  /** Records the statuses of executions that were asked for; those that have ended are not asked for again. */
  resolve(asked: readonly string[], statuses: Readonly<Record<string, ExecutionStatus>>): void {
    for (const id of asked) {
      const status = Object.hasOwn(statuses, id) ? statuses[id] : undefined
      this.#sql.exec('UPDATE executions SET status = ?1 WHERE id = ?2 AND status IS NOT ?1', status ?? UNKNOWN, id)
    }
  }

  #episodes({ source, name, workflow }: SignalFilter): Episode[] {
    const statuses = new Map(
      this.#sql
        .exec<{ id: string; status: string | null }>('SELECT id, status FROM executions')
        .toArray()
        .map(({ id, status }) => [id, status === UNKNOWN ? null : (status as ExecutionStatus | null)]),
    )
    return this.#sql
      .exec<Row>(
        `SELECT * FROM episodes
         WHERE source = coalesce(?, source) AND name = coalesce(?, name) AND workflow = coalesce(?, workflow)`,
        source ?? null,
        name ?? null,
        workflow ?? null,
      )
      .toArray()
      .map(({ executions, ...row }) => ({
        ...row,
        executions: idsOf(executions).map((id) => statuses.get(id) ?? null),
      }))
  }

  #put({ source, name, workflow, fingerprint, executions, ...episode }: SignalEpisode): void {
    const began = Date.parse(episode.began)
    const ended = episode.ended === null ? null : Math.max(began, Date.parse(episode.ended))
    this.#sql.exec(
      `INSERT INTO episodes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
       ON CONFLICT DO UPDATE SET workflow = ?5, ended = coalesce(?6, ended), admitted = max(admitted, ?7),
         denied = max(denied, ?8), code = coalesce(?9, code),
         executions = iif(?10 = '[]', executions, ?10)
       WHERE ended IS NULL OR ?6 IS NOT NULL`,
      source,
      name,
      fingerprint,
      began,
      workflow,
      ended,
      episode.admitted,
      episode.denied,
      episode.code,
      JSON.stringify(executions),
    )
    for (const id of executions.filter(isExecutionId))
      this.#sql.exec('INSERT OR IGNORE INTO executions (id, at) VALUES (?, ?)', id, began)
  }

  #forget(now: number): void {
    const { count } = this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM episodes').one()
    this.#sql.exec(
      `DELETE FROM episodes WHERE (source, name, fingerprint, began) IN (
         SELECT source, name, fingerprint, began FROM episodes WHERE began < ? ORDER BY began LIMIT ?)`,
      count > MAX_ROWS ? Number.MAX_SAFE_INTEGER : now - RETENTION_MS,
      count > MAX_ROWS ? Math.max(count - MAX_ROWS, 0) : FORGET_BATCH,
    )
    this.#sql.exec('DELETE FROM executions WHERE at < (SELECT coalesce(min(began), ?) FROM episodes)', now)
    // An episode may name other executions each time it is reported.
    this.#sql.exec(
      `DELETE FROM executions WHERE id IN (
         SELECT id FROM executions ORDER BY at LIMIT max(0, (SELECT count(*) FROM executions) - ?))`,
      MAX_ROWS,
    )
  }
}

interface Row extends Record<string, SqlStorageValue> {
  source: string
  name: string
  fingerprint: string
  began: number
  workflow: string
  ended: number | null
  admitted: number
  denied: number
  code: string | null
  executions: string
}

function idsOf(json: string): string[] {
  return JSON.parse(json) as string[]
}

const SIGNALS_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE episodes (
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    began INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    ended INTEGER,                 -- null while it lasts
    admitted INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    code TEXT,                     -- of the last denial
    executions TEXT NOT NULL,      -- JSON list of ids
    PRIMARY KEY (source, name, fingerprint, began)
  ) WITHOUT ROWID;
  CREATE INDEX episodes_by_time ON episodes (began);
  -- The status of executions when it was last asked for; null before that, 'unknown' where no ledger knew.
  CREATE TABLE executions (id TEXT PRIMARY KEY, status TEXT, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX executions_by_time ON executions (at);
  `,
]
