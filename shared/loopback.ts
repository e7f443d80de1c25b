/** Whether only this machine can reach a host: a name, or an address without brackets. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** The host of `HOST:PORT`, without brackets. */
export function hostOfAddress(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
}

/** Whether requests to a URL cross a network unencrypted. */
export function isExposed(url: string): boolean {
  const parsed = URL.canParse(url) ? new URL(url) : null
  return parsed?.protocol === 'http:' && !isLoopback(parsed.hostname.replace(/^\[|\]$/g, ''))
}
