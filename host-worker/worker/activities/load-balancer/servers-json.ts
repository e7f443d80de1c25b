import { ApplicationFailure } from '@temporalio/common'
import { z } from 'zod'
import type { BalancedServer } from './load-balancer.ts'

/** The answer of a hook or a command about a pool's servers. */
const serversSchema = z.object({
  servers: z.array(
    z.object({
      name: z.string().min(1),
      in_rotation: z.boolean(),
      serving: z.boolean(),
      sessions: z.number().int().min(0).nullable().default(null),
      state: z.string().optional(),
    }),
  ),
})

/**
 * Reads `{"servers": [{"name", "in_rotation", "serving", "sessions"?, "state"?}]}`.
 *
 * @param source what has answered so, for the message
 * @throws ApplicationFailure `PoolUnreadable`, not retried: a program that prints something else will again
 */
export function readServers(text: string, source: string): BalancedServer[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw poolUnreadable(`${source} answers with what is not JSON: ${text.slice(0, 100)}`)
  }
  const parsed = serversSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw poolUnreadable(`${source} answers with no list of servers: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  return parsed.data.servers.map(({ in_rotation, state, ...server }) => ({
    ...server,
    inRotation: in_rotation,
    state: state ?? (server.serving ? 'serving' : in_rotation ? 'not serving' : 'out of rotation'),
  }))
}

/** The failure of a pool whose servers can't be known. */
export function poolUnreadable(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'PoolUnreadable')
}
