/**
 * Which hosts a health check may request. Its URL comes from a workflow's input, so from a caller or from a label of an
 * alert.
 */
import ipaddr from 'ipaddr.js'

/** What a host lets checks request; each method says why not, and null when it does. */
export interface CheckPolicy {
  /** Judges a URL; one with a name is permitted if its address is. */
  refuseUrl(url: URL): string | null
  /** Judges an address that the URL's host has. */
  refuseAddress(url: URL, address: string): string | null
}

/**
 * Never requested, whatever is allowed: link-local addresses, and those where clouds serve a machine's credentials.
 *
 * @see RFC 3927, RFC 4291 section 2.5.6; the instance metadata services of AWS, Azure, Google Cloud, Alibaba, Oracle
 */
const NEVER = networksOf([
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
])

/**
 * Prefixes of IPv6 addresses that a network may translate to the IPv4 address in them, which begins at these bytes.
 *
 * @see RFC 6052 section 2.2 and RFC 8215 (NAT64), RFC 3056 (6to4), RFC 4291 section 2.5.5, RFC 7915 (`::ffff:0:0:0/96`)
 */
const TRANSLATED: readonly { network: Network; bytes: readonly [number, number, number, number] }[] = [
  ...['64:ff9b::/96', '64:ff9b:1::/48', '::/96', '::ffff:0:0:0/96'].map((prefix) => ({
    network: ipaddr.parseCIDR(prefix),
    bytes: [12, 13, 14, 15] as const,
  })),
  // Byte 8 is skipped.
  { network: ipaddr.parseCIDR('64:ff9b:1::/48'), bytes: [6, 7, 9, 10] },
  { network: ipaddr.parseCIDR('2002::/16'), bytes: [2, 3, 4, 5] },
]

/** The host itself. */
const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * The policy of a host: it may request itself, and what its worker.hcl adds.
 *
 * @param hosts names, `*.` and the end of names, addresses, networks (`10.0.0.0/8`), or `*` for all
 * @param own   the names of the host itself
 */
export function checkPolicy(hosts: readonly string[], own: readonly string[]): CheckPolicy {
  const permitted = hostList([...LOOPBACK, ...own, ...hosts])
  const refuseAddress = (url: URL, address: string): string | null => {
    const host = hostOf(url)
    const at = host === address ? host : `${host} (${address})`
    if (isNever(address)) return `${at} is a link-local or metadata address, which no check may request`
    if (permitted.hasName(host) || permitted.hasAddress(address)) return null
    return `${at} is not allowed: add hosts = [${JSON.stringify(host)}] to the checks block of worker.hcl`
  }
  return {
    refuseUrl: (url) => refuseScheme(url) ?? (ipaddr.isValid(hostOf(url)) ? refuseAddress(url, hostOf(url)) : null),
    refuseAddress,
  }
}

/** Allows all: for checks whose URL is in the configuration. */
export const ANY_HOST: CheckPolicy = { refuseUrl: () => null, refuseAddress: () => null }

/**
 * Judges a URL by itself, before it is known which host requests it.
 *
 * @param hosts as for {@link checkPolicy}; undefined: all
 * @returns why it must not be requested; null when it may
 */
export function refuseUrl(url: URL, hosts: readonly string[] = ['*']): string | null {
  const host = hostOf(url)
  const scheme = refuseScheme(url)
  if (scheme !== null) return scheme
  if (isNever(host)) return 'must not be a link-local or metadata address'
  const permitted = hostList(hosts)
  return permitted.hasName(host) || permitted.hasAddress(host) ? null : `must be on one of ${hosts.join(', ')}`
}

function refuseScheme(url: URL): string | null {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `${url.protocol} is neither http: nor https:`
  return url.username === '' && url.password === '' ? null : 'must not hold a user or password'
}

function hostList(hosts: readonly string[]) {
  const isAddress = (host: string): boolean => ipaddr.isValid(host) || ipaddr.isValidCIDR(host)
  const names = hosts.filter((host) => !isAddress(host)).map((host) => host.toLowerCase())
  const networks = networksOf(hosts.filter(isAddress))
  return {
    hasName: (host: string): boolean => names.some((name) => fits(name, host)),
    hasAddress: (address: string): boolean => isIn(networks, address),
  }
}

function fits(pattern: string, host: string): boolean {
  if (pattern === '*') return true
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern
}

/** The host of a URL: a name in lower case, or an address without brackets. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number]

function networksOf(entries: readonly string[]): Network[] {
  return entries.map((entry) => {
    if (entry.includes('/')) return ipaddr.parseCIDR(entry)
    const address = ipaddr.process(entry)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  })
}

/** Whether an address is never requested, or leads to one that is not. */
function isNever(text: string): boolean {
  return isIn(NEVER, text) || translationsOf(text).some((address) => isIn(NEVER, address))
}

/** The IPv4 addresses that a network may make of an IPv6 address. */
function translationsOf(text: string): string[] {
  if (!ipaddr.isValid(text)) return []
  const address = ipaddr.process(text)
  if (address.kind() === 'ipv4') return []
  const all = address.toByteArray()
  return TRANSLATED.filter(({ network }) => address.match(network)).map(({ bytes }) =>
    bytes.map((index) => all[index]).join('.'),
  )
}

/** Whether an address is in one of the networks; an IPv4 address in IPv6 notation is that address. A name is in none. */
function isIn(networks: readonly Network[], text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  return networks.some((network) => network[0].kind() === address.kind() && address.match(network))
}
