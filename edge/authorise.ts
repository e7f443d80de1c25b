/** May this caller make this request? Route rules, default deny. */
import type { Config, RouteRule } from '../shared/config.ts'
import { ProblemError } from './http/problem.ts'
import { ANONYMOUS, type Caller, LOCAL_OPERATOR } from './identify.ts'

/** What the rules say of a request that passes. */
export interface Authorisation {
  /** Name of the first rule that lets it pass; null when no rule was needed. */
  rule: string | null
  /** False when a matching rule keeps the request out of the access log. */
  logged: boolean
}

/**
 * Authorises one request.
 *
 * @param path the decoded path, as the router sees it
 * @throws ProblemError `unauthenticated` for an anonymous caller, `forbidden` for any other that no rule lets pass
 */
export function authorise(config: Config, caller: Caller, method: string, path: string): Authorisation {
  const server = config.coordinator.server_config
  const matching = server?.route_rule.filter((rule) => matches(rule, method, path)) ?? []
  const logged = !matching.some((rule) => rule.skip_log_match)
  if (caller === LOCAL_OPERATOR) return { rule: null, logged }
  // Only a development document may lack rules; any other was refused when it was compiled, and is again here.
  if (server === undefined && config.development) return { rule: null, logged }
  const passing = matching.find((rule) => rule.allow_public || rule.uris.includes(caller))
  if (passing !== undefined) return { rule: passing.name, logged }
  if (caller === ANONYMOUS) {
    throw new ProblemError('unauthenticated', `no rule lets anonymous callers ${method} ${path}`)
  }
  throw new ProblemError('forbidden', `no rule lets ${caller} ${method} ${path}`)
}

/** Whether a rule is about this method and path. `GET` covers HEAD; a final `/*` matches every path below. */
function matches(rule: RouteRule, method: string, path: string): boolean {
  const methodMatches = rule.method === '*' || rule.method === method || (rule.method === 'GET' && method === 'HEAD')
  return methodMatches && rule.route_patterns.some((pattern) => matchesPath(pattern, path))
}

function matchesPath(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const segments = path.split('/')
  const openEnded = wanted.at(-1) === '*'
  if (openEnded ? segments.length < wanted.length : segments.length !== wanted.length) return false
  return wanted.every((part, index) => part === '*' || part === segments[index])
}
