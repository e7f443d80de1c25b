/** What constraints count of the executions. */
import type { ScopeUsage } from '../../../shared/constraints.ts'
import { scopeName } from './scopes.ts'
import type { StartStore } from './starts.ts'

export class UsageStore {
  readonly #sql: SqlStorage
  readonly #starts: StartStore

  constructor(sql: SqlStorage, starts: StartStore) {
    this.#sql = sql
    this.#starts = starts
  }

  /** The usage of one constraint: the executions of a workflow, on one node or (null) on all. */
  of(workflow: string, node: string | null): ScopeUsage {
    const sql = this.#sql
    const starts = this.#starts
    const scope = scopeName(workflow, node)
    const count = (condition: string): number => {
      const nodeCondition = node === null ? '' : 'AND node = ?'
      const bindings = node === null ? [workflow] : [workflow, node]
      return sql
        .exec<{ count: number }>(
          `SELECT count(*) AS count FROM executions WHERE workflow = ? ${nodeCondition} AND ${condition}`,
          ...bindings,
        )
        .one().count
    }
    return {
      get open() {
        return count('open = 1')
      },
      get pending() {
        return count('open = 1 AND started_at IS NULL')
      },
      startsAfter: (time) => starts.countAfter(scope, time),
      startAfter: (time, index) => starts.timeAfter(scope, time, index),
    }
  }

  /** The open executions on a node, of any workflow. */
  onNode(node: string): { workflow: string; exclusive: boolean }[] {
    return this.#sql
      .exec<{ workflow: string; exclusive: number }>(
        'SELECT workflow, exclusive FROM executions WHERE open = 1 AND node = ?',
        node,
      )
      .toArray()
      .map(({ workflow, exclusive }) => ({ workflow, exclusive: exclusive === 1 }))
  }

  /** All nodes with an open execution of any workflow. */
  busyNodes(): string[] {
    return this.#sql
      .exec<{ node: string }>('SELECT DISTINCT node FROM executions WHERE open = 1 AND node IS NOT NULL')
      .toArray()
      .map(({ node }) => node)
  }

  /** Nodes with an open execution of a workflow, or one that started after `time`. */
  nodesInUse(workflow: string, time: number): string[] {
    return this.#sql
      .exec<{ node: string }>(
        `SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND open = 1
       UNION SELECT node FROM executions WHERE workflow = ?1 AND node IS NOT NULL AND started_at > ?2 ORDER BY node`,
        workflow,
        time,
      )
      .toArray()
      .map((row) => row.node)
  }

  /** Started and open executions of a workflow, or of any workflow on a node; the oldest. */
  openIds(workflow: string, node: string | null, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        `SELECT id FROM executions WHERE workflow = ?1 AND open = 1 AND started_at IS NOT NULL
         UNION SELECT id FROM executions WHERE node = ?2 AND open = 1 AND started_at IS NOT NULL ORDER BY id LIMIT ?3`,
        workflow,
        node,
        limit,
      )
      .toArray()
      .map((row) => row.id)
  }

  /** Open executions of a workflow, or those on a node, without one of them. */
  othersOpen(workflow: string, node: string | null, id: string): number {
    return this.#sql
      .exec<{ count: number }>(
        `SELECT count(*) AS count FROM executions
         WHERE workflow = ?1 AND open = 1 AND (?2 IS NULL OR node = ?2) AND id <> ?3`,
        workflow,
        node,
        id,
      )
      .one().count
  }

  pendingCount(): number {
    return this.#sql
      .exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE open = 1 AND started_at IS NULL')
      .one().count
  }

  openCount(): number {
    return this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM executions WHERE open = 1').one().count
  }
}
