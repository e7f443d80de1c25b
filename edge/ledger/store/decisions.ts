import type { Decision } from '../../../shared/wire.ts'
import type { DecisionQuery, LedgerMetrics, LedgerPage } from '../types.ts'
import { boundedPage, conditions } from './rows.ts'

/** Decisions, and the counters of decisions and ends that metrics show. */
export class DecisionStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  insert(id: string, decision: Decision, node: string | null, at: number): void {
    this.#sql.exec(
      `INSERT INTO decisions (id, workflow, node, outcome, code, caller, at, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, code = excluded.code, at = excluded.at,
         document = excluded.document`,
      id,
      decision.workflow,
      node,
      decision.outcome,
      decision.code,
      decision.caller,
      at,
      JSON.stringify(decision),
    )
    this.#count(decision.workflow, decision.outcome, decision.code, 1)
  }

  /** Counts repeated triggers on a recorded decision. */
  repeat(id: string, count: number, at: number): void {
    const row = this.#sql
      .exec<{ workflow: string; outcome: string; code: string | null }>(
        'UPDATE decisions SET repeats = repeats + ?, repeated_at = ? WHERE id = ? RETURNING workflow, outcome, code',
        count,
        at,
        id,
      )
      .toArray()[0]
    if (row !== undefined) this.#count(row.workflow, row.outcome, row.code, count)
  }

  get(id: string): Decision | null {
    const row = this.#sql.exec<Stored>(`${SELECT} WHERE id = ?`, id).toArray()[0]
    return row === undefined ? null : read(row)
  }

  list(query: DecisionQuery): LedgerPage<Decision> {
    const { where, bindings } = conditions([
      ['id < ?', query.before],
      ['workflow = ?', query.workflow],
      ['node = ?', query.node],
      ['outcome = ?', query.outcome],
      ['code = ?', query.code],
      ['caller = ?', query.caller],
      ['at >= ?', query.since],
    ])
    const rows = this.#sql.exec<Stored>(`${SELECT} ${where} ORDER BY id DESC LIMIT ?`, ...bindings, query.limit + 1)
    return boundedPage(rows, query.limit, (row) => [{ key: row.id, item: read(row) }, row.document.length])
  }

  countClosed(workflow: string, status: string): void {
    this.#sql.exec(
      `INSERT INTO closed_counts (workflow, status, count) VALUES (?, ?, 1)
       ON CONFLICT DO UPDATE SET count = count + 1`,
      workflow,
      status,
    )
  }

  countUnadmitted(workflow: string): void {
    this.#sql.exec(
      'INSERT INTO unadmitted_counts (workflow, count) VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1',
      workflow,
    )
  }

  counts(): Pick<LedgerMetrics, 'decisions' | 'closed' | 'unadmitted'> {
    return {
      decisions: this.#sql
        .exec<LedgerMetrics['decisions'][number]>('SELECT workflow, outcome, code, count FROM decision_counts')
        .toArray(),
      closed: this.#sql
        .exec<LedgerMetrics['closed'][number]>('SELECT workflow, status, count FROM closed_counts')
        .toArray(),
      unadmitted: this.#sql
        .exec<LedgerMetrics['unadmitted'][number]>('SELECT workflow, count FROM unadmitted_counts')
        .toArray(),
    }
  }

  /** Deletes a decision. */
  remove(id: string): void {
    this.#sql.exec('DELETE FROM decisions WHERE id = ?', id)
  }

  deniedCount(): number {
    return this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM decisions WHERE outcome = 'denied'").one()
      .count
  }

  /** Forgets denials with ids below `id`, the oldest first; other decisions go with their executions. @returns how many */
  forgetDenials(id: string, limit: number): number {
    return this.#sql
      .exec(
        `DELETE FROM decisions WHERE id IN (
           SELECT id FROM decisions WHERE outcome = 'denied' AND id < ? ORDER BY id LIMIT ?) RETURNING id`,
        id,
        limit,
      )
      .toArray().length
  }

  #count(workflow: string, outcome: string, code: string | null, count: number): void {
    this.#sql.exec(
      `INSERT INTO decision_counts (workflow, outcome, code, count) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count`,
      workflow,
      outcome,
      code ?? '',
      count,
    )
  }
}

const SELECT = 'SELECT id, document, repeats, repeated_at FROM decisions'

interface Stored extends Record<string, SqlStorageValue> {
  id: string
  document: string
  repeats: number
  repeated_at: number | null
}

function read({ document, repeats, repeated_at }: Stored): Decision {
  const decision = JSON.parse(document) as Decision
  if (repeats === 0 || repeated_at === null) return decision
  return { ...decision, repeated: { count: repeats, until: new Date(repeated_at).toISOString() } }
}
