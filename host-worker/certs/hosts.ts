import { isIP } from 'node:net'

/** How a server of this machine is called here. */
export const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1'] as const

/** The canonical spelling of a DNS name or an IP address; null for anything else. `*.` may precede a DNS name. */
export function canonicalHost(text: string): string | null {
  if (isIP(text) === 4) return text
  if (isIP(text) === 6) return canonicalIPv6(text)
  const name = text.toLowerCase()
  // A last label of digits alone would be a misspelt address.
  return name.length <= 253 && DNS_NAME.test(name) && !/(?:^|\.)\d+$/.test(name) ? name : null
}

const DNS_NAME = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

function canonicalIPv6(address: string): string | null {
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1)
  } catch {
    // An address with a zone: it means nothing on another machine.
    return null
  }
}
