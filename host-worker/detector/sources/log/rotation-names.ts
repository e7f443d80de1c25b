/** How logrotate and its kin name what they put aside. Pure. */
import { parse } from 'node:path'

/** `1`, `20261121`, `2026-11-21T10:00:00Z`, `1795300000`, `old`. */
const GENERATION = String.raw`(?:\d+(?:[._:T-]?\d+)*Z?|old|prev)`
const WHOLE = new RegExp(`^${GENERATION}$`)
const AFTER = new RegExp(`^[._-]${GENERATION}$`)
/** Within a name, before its extension, only what can't well be the number of another instance of the same program. */
const WITHIN = /^(?:\.\d{1,3}|[._-]\d{4,}(?:[._:T-]?\d+)*Z?)$/
const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|lzma|Z|zip|br)$/

/** Whether a file's name says that it is compressed. */
export function isCompressed(name: string): boolean {
  return COMPRESSED.test(name)
}

/**
 * Tells the names that a log's older generations have beside it: `app.log` becomes `app.log.1`, `app.log-20261121`,
 * `app.1.log`, `app-20261121.log`; compressed or not.
 */
export function rotatedNames(name: string): (other: string) => boolean {
  const { name: stem, ext } = parse(name)
  return (other) => {
    const bare = other.replace(COMPRESSED, '')
    if (bare.startsWith(name) && AFTER.test(bare.slice(name.length))) return true
    if (bare === name || !bare.startsWith(stem) || !bare.endsWith(ext)) return false
    return WITHIN.test(bare.slice(stem.length, bare.length - ext.length))
  }
}

/** The names whose older generation `name` may be, by its suffix: `app.log` for `app.log.1`. */
export function rotatedFrom(name: string): string[] {
  const bare = name.replace(COMPRESSED, '')
  return [...bare.matchAll(/[._-]/g)]
    .map(({ index }) => ({ base: bare.slice(0, index), rest: bare.slice(index + 1) }))
    .filter(({ base, rest }) => base !== '' && WHOLE.test(rest))
    .map(({ base }) => base)
}

/**
 * Orders names of one log's generations, the oldest first: dates go up, numbers go down.
 *
 * @returns for `Array.sort`; 0 when their names don't say
 */
export function byGeneration(a: string, b: string): number {
  const [first, second] = [numberIn(a), numberIn(b)]
  if (first === null || second === null || first.length > 3 !== second.length > 3) return 0
  return first.length > 3 ? first.localeCompare(second, 'en', { numeric: true }) : Number(second) - Number(first)
}

function numberIn(name: string): string | null {
  return /(\d[\d._:T-]*)Z?(?:\.\D[^.]*)?$/.exec(name.replace(COMPRESSED, ''))?.[1] ?? null
}
