/**
 * The decoded path of a request: the one form that both the router and the route rules see, so that no spelling of a
 * path can be one thing to the rules and another to the router.
 */

/** Path of every request whose path can't be decoded safely; no route has it. */
const UNSAFE_PATH = '/%'

/**
 * Decodes the path of a URL once, segment by segment. A segment that is not UTF-8, or that decodes to something with a
 * `/`, `\`, `%` or control character in it, makes the whole path unsafe: no name has any of these.
 */
export function decodedPath(url: string): string {
  const pathname = pathOf(url)
  if (!pathname.includes('%')) return pathname
  try {
    const segments = pathname.split('/').map(decodeURIComponent)
    return segments.some((segment) => UNSAFE.test(segment)) ? UNSAFE_PATH : segments.join('/')
  } catch {
    return UNSAFE_PATH
  }
}

/** The path of a request's URL, which the runtime has parsed and normalised already. */
function pathOf(url: string): string {
  const begin = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.slice(begin).search(/[?#]/)
  return end === -1 ? url.slice(begin) : url.slice(begin, begin + end)
}

const UNSAFE = /[/\\%]|\p{Cc}/u
