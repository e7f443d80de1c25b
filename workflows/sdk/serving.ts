import type { PoolState } from './activities.ts'

/**
 * What would be left of a pool without one of its nodes, for the host that drains it and for the dry run that says so.
 *
 * @param minServers fewest servers to leave serving; the pool's own if that is more
 */
export function servingWithout(state: PoolState, node: string, minServers = 0): { left: number; least: number } {
  const listed = state.servers.filter((server) => server.serving && server.node !== node).length
  const left = listed + (state.omitted ?? 0)
  return { left, least: Math.max(state.minServers, minServers) }
}
