/** Taking a node out of its pool, and bringing it back: never so that too few servers are left. */
import { ApplicationFailure } from '@temporalio/common'
import { TOO_FEW_SERVERS } from '../../../../shared/failure-types.ts'
import type { PoolChange, PoolState } from '../../../../workflows/sdk/activities.ts'
import { servingWithout } from '../../../../workflows/sdk/serving.ts'
import type { LoadBalancer } from './load-balancer.ts'

/** A pool as a host is configured for it. */
export interface Pool {
  name: string
  /** Fewest servers that a drain may leave serving. */
  minServers: number
  /** The load balancer's names of nodes that differ, by node. */
  serverNames: Readonly<Record<string, string>>
  balancer: LoadBalancer
}

/** What of a pool is of interest; all of it without. */
export interface PoolFocus {
  /** Its servers alone. */
  node?: string
  /** Its servers, and of a large pool few of the others. */
  about?: string
}

/** Of a larger pool not every server is listed: an execution's history has to hold the list several times. */
const MAX_LISTED_SERVERS = 200
const MAX_NAMES_IN_MESSAGE = 20

/** The pool as its load balancer sees it, by the names of nodes. */
export async function readPool(pool: Pool, { node: only, about }: PoolFocus = {}): Promise<PoolState> {
  const state = await wholePool(pool)
  if (only !== undefined) return { ...state, servers: state.servers.filter(({ node }) => node === only) }
  return about === undefined ? state : briefly(state, about)
}

async function wholePool({ name, minServers, serverNames, balancer }: Pool): Promise<PoolState> {
  const nodes = new Map(Object.entries(serverNames).map(([node, server]) => [server, node]))
  const servers = (await balancer.read()).map(({ name: server, ...rest }) => ({
    node: nodes.get(server) ?? server,
    ...rest,
  }))
  return { pool: name, minServers, servers }
}

/** A pool without most of the servers that are as they should be. */
function briefly(state: PoolState, about: string): PoolState {
  if (state.servers.length <= MAX_LISTED_SERVERS) return state
  const own = state.servers.filter(({ node }) => node === about)
  const others = state.servers.filter(({ node }) => node !== about)
  const away = others.filter(({ serving }) => !serving).slice(0, MAX_LISTED_SERVERS)
  return { ...state, servers: [...own, ...away], omitted: others.filter(({ serving }) => serving).length }
}

/**
 * Takes a node out of rotation. What the node works on, it may finish.
 *
 * The pool is counted before, and again after: of two that are drained at once, each sees that the other is gone too,
 * and goes back. Nobody has to hold a lock for that.
 *
 * @param minServers fewest servers to leave serving; the pool's own if that is more
 * @throws ApplicationFailure, not retried: `too_few_servers`, `UnknownServer`, `NotDrained`
 * @throws Error when the load balancer doesn't answer as it should
 */
export async function drainServer(pool: Pool, node: string, minServers = 0): Promise<PoolChange> {
  const before = await readFor(pool, node)
  const { inRotation } = find(before, node)
  refuseTooFew(before, node, minServers, `draining ${node}`)
  if (!inRotation) return { changed: false, before, after: before }
  await pool.balancer.setInRotation(serverOf(pool, node), false)
  const after = await readFor(pool, node)
  try {
    refuseTooFew(
      after,
      node,
      minServers,
      `${node} was drained, and returned at once because other servers left meanwhile: draining it`,
    )
  } catch (error) {
    await pool.balancer.setInRotation(serverOf(pool, node), true)
    throw error
  }
  if (find(after, node).inRotation) {
    throw failure('NotDrained', `the load balancer still sends requests to ${node}`, { before, after })
  }
  return { changed: true, before, after }
}

/**
 * Brings a node back into rotation; whether it is healthy is the load balancer's own to see.
 *
 * @throws ApplicationFailure, not retried: `UnknownServer`, `NotReturned`
 * @throws Error when the load balancer doesn't answer as it should
 */
export async function returnServer(pool: Pool, node: string): Promise<PoolChange> {
  const before = await readFor(pool, node)
  const wasBack = isBack(find(before, node))
  // Sent even if it looks needless: nothing is lost by it, and a server that was not returned stays out for good.
  await pool.balancer.setInRotation(serverOf(pool, node), true)
  const after = await readFor(pool, node)
  const server = find(after, node)
  if (!isBack(server)) {
    const message = `the load balancer does not take ${node} back: ${server.state}`
    throw failure('NotReturned', message, { before, after })
  }
  return { changed: !wasBack, before, after }
}

/** The pool for a change of one of its nodes. @throws ApplicationFailure `UnknownServer`, not retried */
async function readFor(pool: Pool, node: string): Promise<PoolState> {
  const state = await wholePool(pool)
  if (state.servers.some((server) => server.node === node)) return briefly(state, node)
  const names = state.servers.slice(0, MAX_NAMES_IN_MESSAGE).map((server) => server.node)
  const more = state.servers.length > names.length ? ` and ${state.servers.length - names.length} more` : ''
  const message = `pool ${pool.name} has no server for ${node}; it has ${names.join(', ')}${more}`
  throw failure('UnknownServer', message, { pool: briefly(state, node) })
}

/** Whether all that balance the load would send it requests. */
function isBack({ inRotation, partly }: PoolState['servers'][number]): boolean {
  return inRotation && partly !== true
}

function refuseTooFew(state: PoolState, node: string, minServers: number, what: string): void {
  const { left, least } = servingWithout(state, node, minServers)
  if (left >= least) return
  const message = `${what} would leave ${left} serving in pool ${state.pool}, and ${least} have to be`
  throw failure(TOO_FEW_SERVERS, message, { node, left, min_servers: least, pool: state })
}

function find(state: PoolState, node: string): PoolState['servers'][number] {
  const server = state.servers.find((candidate) => candidate.node === node)
  if (server === undefined) throw new Error(`${node} is missing in its own pool`)
  return server
}

function serverOf({ serverNames }: Pool, node: string): string {
  return (Object.hasOwn(serverNames, node) ? serverNames[node] : undefined) ?? node
}

function failure(type: string, message: string, details: Record<string, unknown>): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [details] })
}
