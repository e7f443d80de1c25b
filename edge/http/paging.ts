/** Query parameters of the lists. */
import { z } from 'zod'
import { isExecutionId } from '../../shared/execution-id.ts'
import { isName } from '../../shared/names.ts'
import type { Page } from '../../shared/wire.ts'
import { ProblemError } from './problem.ts'

/** How many items a page holds by default and at most. */
const PAGE = { default: 50, most: 500 }

/** Reads the parameters of a list; those not in `filters`, and values that can't be, are refused. */
export function listQuery<Filter extends string>(
  url: string,
  filters: readonly Filter[],
): { limit: number; before: string | undefined; filters: Partial<Record<Filter, string>> } {
  const { searchParams } = new URL(url)
  refuseUnknown(searchParams, [...PAGING, ...filters])
  const limit = limitOf(searchParams)
  const cursor = searchParams.get('cursor')
  if (cursor !== null && !isExecutionId(cursor)) throw bad('cursor', 'is not a cursor of this list')
  return { limit, before: cursor ?? undefined, filters: givenOf(searchParams, filters) }
}

/** Reads the filters of a list that comes whole; parameters not in `filters` are refused. */
export function namedFilters<Filter extends string>(
  url: string,
  filters: readonly Filter[],
): Partial<Record<Filter, string>> {
  const { searchParams } = new URL(url)
  refuseUnknown(searchParams, filters)
  return givenOf(searchParams, filters)
}

/** One page of a list that is held whole, ordered by name; its cursors are names. */
export function namedPage<Item>(url: string, items: readonly Item[], nameOf: (item: Item) => string): Page<Item> {
  const { searchParams } = new URL(url)
  refuseUnknown(searchParams, PAGING)
  const limit = limitOf(searchParams)
  const cursor = searchParams.get('cursor') ?? ''
  if (cursor !== '' && !isName(cursor)) throw bad('cursor', 'is not a cursor of this list')
  const rest = items.filter((item) => nameOf(item) > cursor)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  return { items: page, next_cursor: rest.length > limit && last !== undefined ? nameOf(last) : null }
}

/** A filter that takes one of some values. */
export function oneOf(name: string, value: string | undefined, permitted: readonly string[]): string | undefined {
  if (value !== undefined && !permitted.includes(value)) throw bad(name, `must be one of ${permitted.join(', ')}`)
  return value
}

/** A filter that takes a time (RFC 3339); milliseconds since the epoch. */
export function timeOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (!time.safeParse(value).success) throw bad(name, 'must be a time such as 2026-01-31T12:00:00Z')
  return Date.parse(value)
}

const time = z.iso.datetime({ offset: true })
const PAGING = ['limit', 'cursor']

function refuseUnknown(searchParams: URLSearchParams, known: readonly string[]): void {
  for (const name of searchParams.keys()) {
    if (!known.includes(name)) throw bad(name, `unknown parameter; permitted: ${known.join(', ')}`)
    if (searchParams.getAll(name).length > 1) throw bad(name, 'given more than once')
  }
}

function limitOf(searchParams: URLSearchParams): number {
  const limit = searchParams.get('limit') ?? String(PAGE.default)
  if (/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= PAGE.most) return Number(limit)
  throw bad('limit', `must be a whole number from 1 to ${PAGE.most}`)
}

function bad(name: string, message: string): ProblemError {
  return new ProblemError('bad_request', `query parameter ${name}: ${message}`, {
    errors: [{ path: `/${name}`, message: `query parameter: ${message}` }],
  })
}

function givenOf<Filter extends string>(
  searchParams: URLSearchParams,
  filters: readonly Filter[],
): Partial<Record<Filter, string>> {
  const given = filters.flatMap((name) => {
    const value = searchParams.get(name)
    return value === null ? [] : [[name, value]]
  })
  return Object.fromEntries(given) as Partial<Record<Filter, string>>
}
