import { config } from '../config.ts'
import type { TemporalPort } from './client.ts'

/** The way to Temporal's HTTP API: the bound service where there is one, else the network. */
export function temporalPort(env: Env): { port: TemporalPort; httpUrl: string } {
  const port = env.TEMPORAL ?? { fetch: (input: string, init?: RequestInit) => fetch(input, init) }
  return { port, httpUrl: config.coordinator.temporal.http_url }
}
