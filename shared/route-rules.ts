/** Route rules: which of them are about a request, and whether one lets its caller pass. Default deny. */
import { type Caller, LOCAL_OPERATOR } from './callers.ts'
import type { Config, RouteRule, ServerConfig } from './config.ts'

/** What authorises a request: a rule by its name, or that no rule is needed. */
export type Pass =
  | { by: 'rule'; rule: string }
  /** The operator on the unix socket. */
  | { by: 'local_operator' }
  /** A worker that reports its own node. */
  | { by: 'worker_id' }
  /** There are no rules, as only a development coordinator may have it. */
  | { by: 'development' }

/**
 * Whether a request may pass; null when nothing lets it.
 *
 * @param path the decoded path, as the router sees it
 */
export function findPass(config: Config, caller: Caller, method: string, path: string): Pass | null {
  const server = config.coordinator.server_config
  if (caller === LOCAL_OPERATOR) return { by: 'local_operator' }
  // Only a development document may lack rules; any other was refused when it was compiled, and is again here.
  if (server === undefined) return config.development ? { by: 'development' } : null
  const rule = matchingRules(server, method, path).find(
    ({ allow_public, uris }) => allow_public || uris.some((uri) => isCaller(uri, caller)),
  )
  if (rule !== undefined) return { by: 'rule', rule: rule.name }
  return isOwnHeartbeat(server, caller, method, path) ? { by: 'worker_id' } : null
}

/** Whether a request is logged: any matching rule may suppress it, whoever the caller is. */
export function isLogged(config: Config, method: string, path: string): boolean {
  const server = config.coordinator.server_config
  return server === undefined || !matchingRules(server, method, path).some((rule) => rule.skip_log_match)
}

/** The rules that are about a method and path, whomever they let pass. */
export function matchingRules(server: ServerConfig, method: string, path: string): RouteRule[] {
  return server.route_rule.filter((rule) => matches(rule, method, path))
}

/** Whether a rule is about this method and path. `GET` covers HEAD; a final `/*` matches every path below. */
function matches(rule: RouteRule, method: string, path: string): boolean {
  const methodMatches = rule.method === '*' || rule.method === method || (rule.method === 'GET' && method === 'HEAD')
  return methodMatches && rule.route_patterns.some((pattern) => matchesPath(pattern, path))
}

function matchesPath(pattern: string, path: string): boolean {
  const expected = pattern.split('/')
  const segments = path.split('/')
  const openEnded = expected.at(-1) === '*'
  if (openEnded ? segments.length < expected.length : segments.length !== expected.length) return false
  return expected.every((part, index) => part === '*' || part === segments[index])
}

/** Whether a rule's URI means a caller: itself, or with a final `/*` everyone below it. */
export function isCaller(uri: string, caller: Caller): boolean {
  return uri.endsWith('/*') ? caller.startsWith(uri.slice(0, -1)) : caller === uri
}

/** A worker may report the node that its identity names, and no other. */
function isOwnHeartbeat({ worker_id }: ServerConfig, caller: Caller, method: string, path: string): boolean {
  const [, node] = /^\/v1\/nodes\/([^/]+)$/.exec(path) ?? []
  return method === 'PUT' && node !== undefined && worker_id?.replace('{node}', () => node) === caller
}
