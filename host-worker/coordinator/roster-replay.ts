/**
 * The live nodes over a replacement of workerd, which keeps them in memory: without them it would reject triggers until each
 * has sent its next heartbeat.
 */
import pLimit from 'p-limit'
import { z } from 'zod'
import { log, messageOf } from '../../shared/log.ts'
import { nodeSchema } from '../../shared/wire.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'

/** More than this are not taken over: it would take longer than the next heartbeats of most. */
const MAX_NODES = 2000
const PAGE_SIZE = 500
const CONCURRENCY = 20
const TIMEOUT_MS = 4000
/** Heard of this long ago, a node is no longer live (edge/roster/roster.ts): telling of it later would make it live again. */
const MAX_AGE_MS = 15_000

type LiveNode = z.output<typeof nodeSchema>

/** The live nodes of one moment. */
export interface Roster {
  nodes: readonly LiveNode[]
  /** When they were asked for, by the monotonic clock. */
  at: number
}

const pageSchema = z.object({ items: z.array(nodeSchema), next_cursor: z.string().nullable() })

/** The nodes that a coordinator has heard of lately; none when it does not say. @param socket of the local operator */
export async function liveNodes(socket: string): Promise<Roster> {
  const at = performance.now()
  const client = new CoordinatorClient({ socket })
  const nodes: LiveNode[] = []
  try {
    for (let cursor: string | null = ''; cursor !== null && nodes.length < MAX_NODES; ) {
      const after = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const { json } = await client.request('GET', `/v1/nodes?limit=${PAGE_SIZE}${after}`, { timeout: TIMEOUT_MS })
      const page = pageSchema.parse(json)
      nodes.push(...page.items)
      cursor = page.next_cursor
    }
    return { nodes, at }
  } catch (error) {
    log('warn', 'nodes_not_taken_over', { detail: messageOf(error) })
    return { nodes: [], at }
  } finally {
    client.close()
  }
}

/**
 * Tells another coordinator of them, as their own last heartbeats did. Each then counts as live for one more heartbeat's life.
 * The first failure ends it, and so does their age: requests wait for this.
 */
export async function replayNodes(socket: string, { nodes, at }: Roster): Promise<void> {
  const client = new CoordinatorClient({ socket })
  const turns = pLimit(CONCURRENCY)
  const gone = new AbortController()
  const replay = async ({ node, last_seen_at: _, outdated: __, ...said }: LiveNode): Promise<void> => {
    if (gone.signal.aborted) return
    if (performance.now() - at > MAX_AGE_MS) throw new Error('they were heard of too long ago')
    const body = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null))
    const { status, text } = await client.request('PUT', `/v1/nodes/${node}`, { body, timeout: TIMEOUT_MS })
    if (status >= 300) throw new Error(`${node}: HTTP ${status}: ${text.slice(0, 200)}`)
  }
  try {
    const outcomes = await Promise.allSettled(
      nodes.map((node) =>
        turns(() =>
          replay(node).catch((error: unknown) => {
            gone.abort()
            throw error
          }),
        ),
      ),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) log('warn', 'nodes_not_taken_over', { detail: messageOf(failed.reason) })
  } finally {
    client.close()
  }
}
