/** Who callers are. */
import type { ServerConfig } from './config.ts'
import { trustDomainOf } from './spiffe-id.ts'

/** A caller as decisions and logs name it: a SPIFFE ID, `webhook:<name>`, `slack:<workspace>/<user>` or `anonymous`. */
export type Caller = string

/** The caller without any identity. */
export const ANONYMOUS: Caller = 'anonymous'

/** The owner of the coordinator's unix socket; passes every route rule. */
export const LOCAL_OPERATOR: Caller = 'spiffe://resile.local/operator'

/** The domain of the coordinator's own names, such as that of the local operator: no certificate gives one of them. */
const OWN_DOMAIN = 'resile.local'

/**
 * Whether SPIFFE IDs of a trust domain are identities here. Permitted are the listed domains, else those that the rules
 * name, since no other could be authorised.
 */
export function isPermittedDomain(domain: string | null, server: ServerConfig): boolean {
  const { trust_domains, route_rule, worker_id } = server
  if (domain === null || domain === OWN_DOMAIN) return false
  if (trust_domains !== undefined) return trust_domains.includes(domain)
  const named = [...route_rule.flatMap(({ uris }) => uris), worker_id?.replace('{node}', 'node') ?? '']
  return named.some((uri) => trustDomainOf(uri.replace(/\/\*$/, '')) === domain)
}
