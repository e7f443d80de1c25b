import type { Freeze } from '../../../shared/wire.ts'

/** The part of a start that decides whether a freeze covers it. */
export interface FreezeSubject {
  workflow: string
  datacenter: string
  node: string | null
}

/** Freezes that cover this datacenter. Times in milliseconds. */
export class FreezeStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  put(freeze: Freeze): void {
    this.#sql.exec(
      `INSERT INTO freezes (id, workflow, datacenter, node, expires_at, document) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      freeze.id,
      freeze.scope.workflow ?? null,
      freeze.scope.datacenter ?? null,
      freeze.scope.node ?? null,
      freeze.expires_at === null ? null : Date.parse(freeze.expires_at),
      JSON.stringify(freeze),
    )
  }

  /** Lifts a freeze. @returns whether there was one */
  remove(id: string): boolean {
    return this.#sql.exec('DELETE FROM freezes WHERE id = ? RETURNING id', id).toArray().length > 0
  }

  /** All that hold at a time, newest first. */
  active(at: number): Freeze[] {
    return this.#sql
      .exec<{ document: string }>(
        'SELECT document FROM freezes WHERE expires_at IS NULL OR expires_at > ? ORDER BY id DESC',
        at,
      )
      .toArray()
      .map(({ document }) => JSON.parse(document) as Freeze)
  }

  /** Of those that cover a start at a time, the one that expires last. */
  covering({ workflow, datacenter, node }: FreezeSubject, at: number): Freeze | null {
    const row = this.#sql
      .exec<{ document: string }>(
        `SELECT document FROM freezes
         WHERE (workflow IS NULL OR workflow = ?) AND (datacenter IS NULL OR datacenter = ?)
           AND (node IS NULL OR node = ?) AND (expires_at IS NULL OR expires_at > ?)
         ORDER BY expires_at IS NULL DESC, expires_at DESC LIMIT 1`,
        workflow,
        datacenter,
        node,
        at,
      )
      .toArray()[0]
    return row === undefined ? null : (JSON.parse(row.document) as Freeze)
  }

  forgetExpired(at: number): void {
    this.#sql.exec('DELETE FROM freezes WHERE expires_at <= ?', at)
  }
}
