import { DurableObject } from 'cloudflare:workers'
import type { ExecutionStatus, SignalEpisode } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import { migrate } from '../ledger/schema.ts'
import type { Episode } from './analysis.ts'

/** How long episodes are kept, in milliseconds: a day longer than what is looked back on. */
const KEPT_FOR = 31 * 24 * 3_600_000
/** Episodes that are kept at most; the oldest go first. */
const MOST = 100_000
/** Statuses that an execution leaves again. */
const PASSING: ReadonlySet<ExecutionStatus> = new Set(['awaiting_approval', 'pending', 'running', 'lost'])
/** How many are forgotten at once. */
const FORGET_AT_ONCE = 1000

/**
 * The episodes of signals of the last month, for their analysis. Nothing is decided by what is here, and no ledger waits
 * for it.
 *
 * There is one for each coordinator.
 */
export class Signals extends DurableObject<Env> {
  readonly #sql: SqlStorage

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, SIGNALS_MIGRATIONS)
    this.#sql = ctx.storage.sql
  }

  /** Takes down how episodes stand. What is older than what is known of one changes nothing. */
  record(episodes: readonly SignalEpisode[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const episode of episodes) this.#put(episode)
    })
    this.#forget(Date.now())
  }

  /** All episodes, and the ids of the executions of which it is not known how they have ended. */
  episodes(): { episodes: Episode[]; executions: string[] } {
    const known = this.#sql
      .exec<{ id: string; status: string | null }>('SELECT id, status FROM executions')
      .toArray()
      .map(({ id, status }) => ({ id, status: status as ExecutionStatus | null }))
    const statuses = new Map(known.map(({ id, status }) => [id, status]))
    const open = known.flatMap(({ id, status }) => (status === null || PASSING.has(status) ? [id] : []))
    const rows = this.#sql.exec<Row>('SELECT * FROM episodes').toArray()
    return {
      episodes: rows.map(({ executions, ...row }) => ({
        ...row,
        executions: idsOf(executions).map((id) => statuses.get(id) ?? null),
      })),
      executions: open,
    }
  }

  /** Takes down how executions stand: nobody is asked again about those that have ended. */
  settle(statuses: Readonly<Record<string, ExecutionStatus>>): void {
    for (const [id, status] of Object.entries(statuses)) {
      this.#sql.exec('UPDATE executions SET status = ? WHERE id = ?', status, id)
    }
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
    for (const id of executions) this.#sql.exec('INSERT OR IGNORE INTO executions (id, at) VALUES (?, ?)', id, began)
  }

  #forget(now: number): void {
    const { count } = this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM episodes').one()
    this.#sql.exec(
      `DELETE FROM episodes WHERE (source, name, fingerprint, began) IN (
         SELECT source, name, fingerprint, began FROM episodes WHERE began < ? ORDER BY began LIMIT ?)`,
      count > MOST ? Number.MAX_SAFE_INTEGER : now - KEPT_FOR,
      count > MOST ? Math.max(count - MOST, 0) : FORGET_AT_ONCE,
    )
    this.#sql.exec('DELETE FROM executions WHERE at < (SELECT coalesce(min(began), ?) FROM episodes)', now)
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
  -- How the executions stood when somebody asked last; null before that.
  CREATE TABLE executions (id TEXT PRIMARY KEY, status TEXT, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX executions_by_time ON executions (at);
  `,
]
