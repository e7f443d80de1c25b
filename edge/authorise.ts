/** May this caller make this request? Route rules, default deny. */
import type { Config, RouteRule } from '../shared/config.ts'
import { ProblemError } from './http/problem.ts'
import { ANONYMOUS, type Caller, LOCAL_OPERATOR } from './identify.ts'

/**
 * Authorises one request.
 *
 * @param path the decoded path, as the router sees it
 * @returns the name of the first rule that lets it pass; null when no rule was needed
 * @throws ProblemError `unauthenticated` for an anonymous caller, `forbidden` for any other that no rule lets pass
 */
export function authorise(config: Config, caller: Caller, method: string, path: string): string | null {
  const server = config.coordinator.server_config
  if (caller === LOCAL_OPERATOR) return null
  // Only a development document may lack rules; any other was refused when it was compiled, and is again here.
  if (server === undefined && config.development) return null
  const passing = matchingRules(config, method, path).find((rule) => rule.allow_public || rule.uris.includes(caller))
  if (passing !== undefined) return passing.name
  if (caller === ANONYMOUS) {
    throw new ProblemError('unauthenticated', `no rule lets anonymous callers ${method} ${path}`)
  }
  throw new ProblemError('forbidden', `no rule lets ${caller} ${method} ${path}`)
}

/** Whether a request belongs into the access log: any matching rule may keep it out, whoever asks. */
export function isLogged(config: Config, method: string, path: string): boolean {
  return !matchingRules(config, method, path).some((rule) => rule.skip_log_match)
}

function matchingRules(config: Config, method: string, path: string): RouteRule[] {
  return config.coordinator.server_config?.route_rule.filter((rule) => matches(rule, method, path)) ?? []
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
