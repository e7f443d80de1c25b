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
 * @throws Error that says what is wrong with it
 */
export function readServers(text: string): BalancedServer[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new Error(`not JSON: ${text.slice(0, 100)}`)
  }
  const parsed = serversSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(`not a list of servers: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  return parsed.data.servers.map(({ in_rotation, state, ...server }) => ({
    ...server,
    inRotation: in_rotation,
    state: state ?? (server.serving ? 'serving' : in_rotation ? 'not serving' : 'out of rotation'),
  }))
}
