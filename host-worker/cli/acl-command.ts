/** `resile acl explain`: what the route rules say of a request, without making it. */
import { ANONYMOUS, isPermittedDomain } from '../../shared/callers.ts'
import type { Config, RouteRule } from '../../shared/config.ts'
import { documentSchema } from '../../shared/config.ts'
import { decodedPath } from '../../shared/path.ts'
import { findPass, isCaller, isLogged, matchingRules, type Pass } from '../../shared/route-rules.ts'
import { isSlackPattern } from '../../shared/slack-id.ts'
import { trustDomainOf } from '../../shared/spiffe-id.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import { usage } from '../process/exit-codes.ts'
import { table } from './tables.ts'

/** The command line. */
export interface ExplainOptions {
  project: string
  uri?: string
  json: boolean
}

/** An explanation, as `--json` prints it. */
export interface Explanation {
  method: string
  /** As the router sees it. */
  path: string
  caller: string
  allowed: boolean
  /** Name of the rule that decides; null when none does. */
  rule: string | null
  reason: string
  logged: boolean
  /** Every rule that is about the method and path, in the order of the file. */
  rules: { name: string; allows: boolean; reason: string }[]
}

/** Prints which rule decides. */
export async function explainAcl(method: string, path: string, options: ExplainOptions): Promise<void> {
  if (!/^[A-Z]+$/.test(method)) throw usage(`METHOD must be an HTTP method in capitals, not ${JSON.stringify(method)}`)
  if (!path.startsWith('/') || !URL.canParse(`http://coordinator${path}`)) {
    throw usage(`PATH must begin with "/", not ${JSON.stringify(path)}`)
  }
  const { document } = await loadOrFail(options.project, { development: false })
  const explanation = explain(documentSchema.parse(document), options.uri ?? ANONYMOUS, method, path)
  console.log(options.json ? JSON.stringify(explanation) : report(explanation))
}

/** Explains one request by the configuration. */
function explain(config: Config, uri: string, method: string, path: string): Explanation {
  const server = config.coordinator.server_config
  const decoded = decodedPath(new URL(`http://coordinator${path}`).href)
  const rejected = whyRejected(config, uri)
  const caller = rejected === null ? uri : ANONYMOUS
  const pass = findPass(config, caller, method, decoded)
  const rules = server === undefined ? [] : matchingRules(server, method, decoded)
  // What the rules say is of interest before TLS is turned on too.
  const plain =
    server?.enable_tls === false && uri.startsWith('spiffe:')
      ? 'but while enable_tls is false every caller on the network is anonymous'
      : null
  const suffix = [rejected, plain].flatMap((note) => (note === null ? [] : [`; ${note}`])).join('')
  return {
    method,
    path: decoded,
    caller,
    allowed: pass !== null,
    rule: pass?.by === 'rule' ? pass.rule : null,
    reason: `${reasonOf(pass, server === undefined, caller)}${suffix}`,
    logged: isLogged(config, method, decoded),
    rules: rules.map((rule) => ({ name: rule.name, ...verdictOf(rule, caller) })),
  }
}

/** Why an identity is not accepted; null when it is. */
function whyRejected(config: Config, uri: string): string | null {
  const server = config.coordinator.server_config
  if (uri === ANONYMOUS || uri.startsWith('webhook:') || server === undefined) return null
  if (uri.startsWith('slack:')) return whyNobodyInSlack(config, uri)
  const domain = trustDomainOf(uri)
  if (domain === null) return `${JSON.stringify(uri)} is not a SPIFFE ID, so it identifies no caller`
  return isPermittedDomain(domain, server)
    ? null
    : `trust domain ${domain} is not permitted, so it identifies no caller`
}

function whyNobodyInSlack({ coordinator: { slack } }: Config, uri: string): string | null {
  if (!isSlackPattern(uri) || uri.endsWith('/*'))
    return `${JSON.stringify(uri)} is not a Slack user, so it identifies no caller`
  return slack === undefined ? "coordinator.hcl has no slack { … }, so Slack's users have no identity" : null
}

function reasonOf(pass: Pass | null, noRules: boolean, caller: string): string {
  if (pass?.by === 'rule') return `rule ${JSON.stringify(pass.rule)} lets it pass`
  if (pass?.by === 'worker_id') return 'worker_id lets a worker report its own node'
  if (noRules) return 'there are no route rules: only `resile dev` runs without them, and lets every caller pass'
  return caller === ANONYMOUS ? 'no rule lets anonymous callers pass: 401' : 'no rule lets this caller pass: 403'
}

function verdictOf(rule: RouteRule, caller: string): { allows: boolean; reason: string } {
  if (rule.allow_public) return { allows: true, reason: 'allow_public' }
  const uri = rule.uris.find((one) => isCaller(one, caller))
  return uri === undefined
    ? { allows: false, reason: 'does not list the caller' }
    : { allows: true, reason: `lists ${uri}` }
}

function report({ method, path, caller, allowed, reason, logged, rules }: Explanation): string {
  const lines = [`${allowed ? 'allowed' : 'denied'}: ${method} ${path} by ${caller}: ${reason}`]
  if (!logged) lines.push('kept out of the access log (skip_log_match)')
  if (rules.length === 0) return lines.join('\n')
  const rows = rules.map(({ name, allows, reason: why }) => [name, allows ? 'allows' : '-', why])
  return [...lines, '', table(['RULE', 'VERDICT', 'WHY'], rows)].join('\n')
}
