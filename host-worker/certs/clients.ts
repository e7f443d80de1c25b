import { trustDomainOf } from '../../shared/spiffe-id.ts'

/** One who calls the coordinator. */
export interface Client {
  /** The name of its files, see {@link isClientName}. */
  name: string
  /** Its SPIFFE ID. */
  uri: string
}

/** Whom certificates are asked for. */
export interface ClientOptions {
  /** By default that of the first of `uris`, else `example.org`. */
  trustDomain?: string | undefined
  /** The callers that the route rules authorise; patterns ending in `/*`, and webhooks, are no single caller. */
  uris: readonly string[]
  /** Those asked for by name; without a `uri` it is made of the trust domain and the name. */
  named: readonly { name: string; uri?: string }[]
}

/**
 * Who gets a certificate: those asked for by name, `operator`, and every SPIFFE ID of the rules. The names of the last
 * are the ends of their paths, as short as they differ. Names differ also where upper and lower case are the same.
 */
export function clientsOf(options: ClientOptions): { trustDomain: string; clients: Client[] } {
  const ids = [...new Set(options.uris)].filter((uri) => trustDomainOf(uri) !== null)
  const trustDomain = options.trustDomain ?? firstTrustDomain(options.uris) ?? 'example.org'
  const idOf = (name: string): string => `spiffe://${trustDomain}/${name}`
  const clients = options.named.map(({ name, uri }) => ({ name, uri: uri ?? idOf(name) }))
  if (!clients.some(({ name }) => name.toLowerCase() === OPERATOR)) {
    clients.push({ name: OPERATOR, uri: idOf(OPERATOR) })
  }
  const others = ids.filter((id) => !clients.some(({ uri }) => uri === id))
  const taken = new Set(clients.map(({ name }) => name.toLowerCase()))
  for (const id of others) {
    const rivals = new Set(others.filter((other) => other !== id).flatMap(candidates))
    const name = firstFree(candidates(id), (candidate) => taken.has(candidate) || rivals.has(candidate))
    taken.add(name)
    clients.push({ name, uri: id })
  }
  return { trustDomain, clients }
}

/** Whether a client may have this name. Since `a-key.pem` is the key of `a`, no client is named `a-key`. */
export function isClientName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(text) && !/-key$/i.test(text)
}

function firstTrustDomain(uris: readonly string[]): string | undefined {
  return uris.map((uri) => trustDomainOf(uri.replace(/\/\*$/, ''))).find((domain) => domain !== null)
}

const OPERATOR = 'operator'

/** Names for a SPIFFE ID, the shortest first. */
function candidates(id: string): string[] {
  const [domain = '', ...path] = id.slice('spiffe://'.length).toLowerCase().split('/')
  const ends = path.map((_, index) => path.slice(-index - 1).join('-'))
  return [...ends, [domain, ...path].join('-')].filter(isClientName)
}

function firstFree(names: readonly string[], isTaken: (name: string) => boolean): string {
  const free = names.find((name) => !isTaken(name))
  if (free !== undefined) return free
  // Such as spiffe://a/b-c beside spiffe://a/b/c, or an ID too long to be a file's name.
  const [stem = 'client'] = names
  let number = 2
  while (isTaken(`${stem}-${number}`)) number++
  return `${stem}-${number}`
}
