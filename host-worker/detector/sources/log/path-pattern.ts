import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RE2JS } from 're2js'
import { isAbsent } from './file-identity.ts'

/** Which files are meant by a path with `*` and `?`. */
export interface PathPattern {
  readonly text: string
  /** Without `*` and `?`: it names one file, whether that is there or not. */
  readonly literal: boolean
  matches(path: string): boolean
  /**
   * The paths that it names now.
   *
   * @throws what `readdir` throws, unless a directory isn't there
   */
  expand(): Promise<string[]>
}

/**
 * `*` matches any part of a file's or directory's name, `?` one character; a leading dot must be written.
 *
 * Not Node's own `glob`: that takes braces and brackets in a path for patterns, and a directory that it may not read
 * for an empty one.
 *
 * @param text absolute
 */
export function pathPattern(text: string): PathPattern {
  const parts = text
    .split('/')
    .filter((part) => part !== '')
    .map(partOf)
  return {
    text,
    literal: parts.every(({ matches }) => matches === null),
    matches(path) {
      const names = path.split('/').filter((name) => name !== '')
      return (
        names.length === parts.length &&
        parts.every(({ part, matches }, index) => {
          const name = names[index] ?? ''
          return matches === null ? name === part : matches(name)
        })
      )
    },
    async expand() {
      let paths = ['/']
      for (const { part, matches } of parts) {
        if (matches === null) {
          paths = paths.map((path) => join(path, part))
          continue
        }
        const found = await Promise.all(paths.map(async (path) => [path, await namesIn(path)] as const))
        paths = found.flatMap(([path, names]) => names.filter(matches).map((name) => join(path, name)))
      }
      return paths.sort()
    },
  }
}

/** The names in a directory; none when it isn't there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

/** One name in a pattern; `matches` is null when it is literal. */
function partOf(part: string): { part: string; matches: ((name: string) => boolean) | null } {
  if (!/[*?]/.test(part)) return { part, matches: null }
  const text = part.replaceAll(/[*?]|[^*?]+/g, (piece) =>
    piece === '*' ? '.*' : piece === '?' ? '.' : RE2JS.quote(piece),
  )
  const pattern = RE2JS.compile(text, RE2JS.DOTALL)
  return { part, matches: (name) => pattern.matches(name) && (part.startsWith('.') || !name.startsWith('.')) }
}
