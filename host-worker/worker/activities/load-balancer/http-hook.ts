/** A load balancer behind an HTTP hook of the operator's own. */
import { readFile } from 'node:fs/promises'
import type { LoadBalancer } from './load-balancer.ts'
import { readServers } from './servers-json.ts'

/** Where the hook is. */
export interface HttpHookOptions {
  url: string
  /** A file with a bearer token, read at each call. */
  tokenFile: string | null
  /** Milliseconds for one answer. */
  timeout: number
}

/** `GET url` lists the servers; `PUT url/<server>` with `{"in_rotation": bool}` sets one. Any 2xx is success. */
export function httpHook(options: HttpHookOptions): LoadBalancer {
  return {
    read: async () => readServers(await call(options, 'GET', ''), options.url),
    async setInRotation(server, inRotation) {
      await call(options, 'PUT', `/${encodeURIComponent(server)}`, { in_rotation: inRotation })
    },
  }
}

async function call(
  { url, tokenFile, timeout }: HttpHookOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<string> {
  const token = tokenFile === null ? null : (await readFile(tokenFile, 'utf8')).trim()
  const address = `${url.replace(/\/$/, '')}${path}`
  const response = await fetch(address, {
    method,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeout),
    headers: {
      accept: 'application/json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${address}: status ${response.status}: ${text.slice(0, 200)}`)
  return text
}
