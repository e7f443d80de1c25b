/** What the stores share: list conditions, pages of limited size, JSON in columns. */
import type { LedgerPage } from '../types.ts'

/** A `WHERE` of the conditions that apply: those with a value, and (with null) those without one. */
export function conditions(pairs: readonly [string, string | number | null | undefined][]): {
  where: string
  bindings: (string | number)[]
} {
  const given = pairs.filter(([, value]) => value !== undefined)
  const where = given.length === 0 ? '' : `WHERE ${given.map(([condition]) => condition).join(' AND ')}`
  const bindings = given.flatMap(([, value]) => (value === null || value === undefined ? [] : [value]))
  return { where, bindings }
}

/** Size of one page, in characters of JSON: an answer of more than 32 MiB between objects would fail. */
const MAX_PAGE_LENGTH = 4 * 1024 * 1024

/** Takes at most `limit` rows, and at least one, that together fit into a page. */
export function boundedPage<Row, Item>(
  rows: Iterable<Row>,
  limit: number,
  read: (row: Row) => [entry: LedgerPage<Item>['entries'][number], size: number],
): LedgerPage<Item> {
  const entries: LedgerPage<Item>['entries'] = []
  let size = 0
  for (const row of rows) {
    if (entries.length === limit) return { entries, more: true }
    const [entry, entrySize] = read(row)
    size += entrySize
    if (size > MAX_PAGE_LENGTH && entries.length > 0) return { entries, more: true }
    entries.push(entry)
  }
  return { entries, more: false }
}

export function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value)
}
