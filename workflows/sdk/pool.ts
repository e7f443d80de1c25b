/** Taking the target of a remediation out of production while it is worked on. */
import { isCancellation, log, patched, sleep } from '@temporalio/workflow'
import { nodeQueue, nodeTypeQueue } from '../../shared/names.ts'
import type { PoolChange, PoolServer, PoolState } from './activities.ts'
import { type Undo, undoingOnFailure, withEvidence } from './compensation.ts'
import { milliseconds } from './duration.ts'
import { fail } from './failure.ts'
import { loadBalancer } from './host.ts'
import { pauseUntilWell, pauseWhileOut } from './pauses.ts'
import type { Run } from './run.ts'
import { servingWithout } from './serving.ts'

/** The input that says which pool the target is in; workflows that drain take these keys. */
export interface PoolInput {
  /** Name of the pool, as worker.hcl has its `load_balancer`. */
  pool?: string
  /** The host whose worker talks to the load balancer; default: the target's own. */
  via?: { node?: string; node_type?: string }
  /** How long what the target works on may take to end; default `"30s"`. */
  drain_for?: string
  /** More than the pool's own `min_servers`. */
  min_servers?: number
  /**
   * How long it may take to serve after its return, or after its health check last found it well, which may have to do so
   * several times; default `"2m"`. Half an hour at most.
   */
  serve_within?: string
}

/** How the target left its pool. */
export interface DrainReport extends PoolChange {
  /** Whether it was in rotation before. A server that was taken out by others is not returned. */
  tookOut: boolean
  /** Requests in progress when the wait ended; null when the load balancer doesn't say. */
  sessionsLeft: number | null
  /** How often something returned it meanwhile, as a reload of the load balancer does, so that it was drained again. */
  drainedAgain?: number
  /** Why the load balancer could not be asked last whether the target is still out. */
  unconfirmed?: string
}

/** The target in its pool. */
export interface TargetPool {
  read(): Promise<PoolState>
  /**
   * Takes the target out and waits for what it works on to end. Noted to be undone if it was in before.
   *
   * @throws ActivityFailure `too_few_servers` and others of the load balancer's
   */
  drain(undo: Undo): Promise<DrainReport>
  /** Takes the target out at once, to undo a return. @throws ActivityFailure as `drain` */
  takeOut(): Promise<PoolChange>
  /**
   * Takes the target out again if something has returned it since, which `report` counts; does nothing for a target that
   * this execution did not take out. Asks the load balancer now and then, unless `now` is set. That it can't be asked, as
   * while the target boots, is noted in `report` and is no failure.
   *
   * @throws ActivityFailure as `drain`
   */
  keepOut(report: DrainReport, now?: 'now'): Promise<void>
  /**
   * Brings the target back, and waits until it serves.
   *
   * @param undo takes note of how to undo it, if the target was out before
   * @throws ApplicationFailure `NotServing`
   */
  restore(undo?: Undo): Promise<PoolChange>
}

/** How long a server that was returned is waited for at most, in milliseconds. */
const MAX_SERVE_WITHIN_MS = 1_800_000
/** How often a drain that is undone within its wait for idleness is repeated. */
const MAX_DRAINS = 5
/** Marks histories of workflows that look again after a drain. @see https://docs.temporal.io/develop/typescript/versioning */
const KEEPS_OUT = 'pool-keeps-out'

/**
 * The target's pool; null when the input names none.
 *
 * @throws ApplicationFailure `InvalidInput` when the target is no node
 */
export function targetPool(input: PoolInput, run: Run): TargetPool | null {
  const { pool, via, drain_for = '30s', min_servers: minServers, serve_within = '2m' } = input
  if (pool === undefined) return null
  const { node } = run.target
  if (node === undefined) return fail('InvalidInput', 'only a node can be in a pool')
  const drainFor = milliseconds(drain_for)
  const serveWithin = milliseconds(serve_within)
  const { readPool, drainServer, returnServer } = loadBalancer(queueOf(via, run.datacenter))
  const read = (): Promise<PoolState> => readPool({ pool, about: node })
  // Of a large pool all servers, again and again, would be more than an execution's history may hold.
  const look = (): Promise<PoolState> => readPool({ pool, node })

  // Where requests in progress are unknown, it gets all the time there is.
  const isIdle = (state: PoolState): boolean => serverIn(state, node)?.sessions === 0
  const isIn = (state: PoolState): boolean => serverIn(state, node)?.inRotation === true
  let firstLook: number | null = null
  let nextLook = 0
  const takeOut = (): Promise<PoolChange> =>
    drainServer({ pool, node, ...(minServers === undefined ? {} : { minServers }) })

  return {
    read,
    takeOut,
    async drain(undo) {
      const before = await read()
      const wasIn = serverIn(before, node)?.inRotation === true
      // Noted first: what is cut off may have been done.
      if (wasIn) undo.note(`return ${node} to pool ${pool}`, () => returnServer({ pool, node }))
      const change = await takeOut()
      let state = await until(look, change.after, (seen) => isIdle(seen) || isIn(seen), drainFor)
      let drains = 1
      for (; wasIn && isIn(state) && drains < MAX_DRAINS; drains++) {
        const again = await takeOut()
        state = await until(look, again.after, (seen) => isIdle(seen) || isIn(seen), drainFor)
      }
      if (wasIn && isIn(state)) {
        fail('NotDrained', `${node} was returned to pool ${pool} by something else ${drains} times`, { pool: state })
      }
      const after = withServer(change.after, node, state)
      const sessionsLeft = serverIn(after, node)?.sessions ?? null
      return { ...change, after, tookOut: wasIn, sessionsLeft, ...(drains === 1 ? {} : { drainedAgain: drains - 1 }) }
    },
    async keepOut(report, now) {
      const time = Date.now()
      if (!report.tookOut || (now === undefined && time < nextLook)) return
      if (!patched(KEEPS_OUT)) return
      firstLook ??= time
      nextLook = time + pauseWhileOut(time - firstLook)
      delete report.unconfirmed
      const state = await look().catch((error: unknown) => {
        if (isCancellation(error)) throw error
        report.unconfirmed = withEvidence(error, {}).message
        return null
      })
      if (state === null || !isIn(state)) return
      log.warn('a drained server was returned by something else', { node, pool })
      const change = await takeOut()
      report.drainedAgain = (report.drainedAgain ?? 0) + 1
      report.after = change.after
    },
    async restore(undo) {
      const change = await returnServer({ pool, node })
      if (change.changed) undo?.note(`take ${node} out of pool ${pool} again`, takeOut)
      const after = withServer(change.after, node, await untilServing(look, change.after, node, serveWithin))
      if (isServing(serverIn(after, node))) return { ...change, after }
      const state = serverIn(after, node)?.state ?? 'unknown'
      return fail('NotServing', `${node} was returned to pool ${pool} and does not serve: ${state}`, { pool: after })
    },
  }
}

/**
 * Brings the target back if this execution took it out.
 *
 * @returns null when there is no pool, or it had been taken out by others
 * @throws ApplicationFailure `NotServing`; it is out again then
 */
export async function bringBack(pool: TargetPool | null, drained: DrainReport | null): Promise<PoolChange | null> {
  if (pool === null || drained?.tookOut !== true) return null
  return undoingOnFailure((undo) => pool.restore(undo))
}

/** {@link TargetPool.keepOut}, where there is a pool. */
export async function stayOut(pool: TargetPool | null, drained: DrainReport | null, now?: 'now'): Promise<void> {
  if (pool !== null && drained !== null) await pool.keepOut(drained, now)
}

/** Whether taking a node out would leave enough servers: what a dry run says. */
export function drainPreview(state: PoolState, node: string, minServers = 0): object {
  const { left, least } = servingWithout(state, node, minServers)
  return { pool: state, left_serving: left, min_servers: least, allowed: left >= least }
}

async function until(
  look: () => Promise<PoolState>,
  first: PoolState,
  holds: (state: PoolState) => boolean,
  within: number,
): Promise<PoolState> {
  const began = Date.now()
  let state = first
  for (;;) {
    const waited = Date.now() - began
    const pause = pauseUntilWell(waited)
    if (holds(state) || waited + pause > within) return state
    await sleep(pause)
    state = await look()
  }
}

/** Waits for a server that was returned, for as long as its health check still brings it up. */
async function untilServing(
  look: () => Promise<PoolState>,
  first: PoolState,
  node: string,
  within: number,
): Promise<PoolState> {
  const began = Date.now()
  let risingAt = began
  let state = first
  for (;;) {
    const now = Date.now()
    if (serverIn(state, node)?.rising === true) risingAt = now
    const pause = pauseUntilWell(now - began)
    const end = Math.min(risingAt + within, began + Math.max(within, MAX_SERVE_WITHIN_MS))
    if (isServing(serverIn(state, node)) || now + pause > end) return state
    await sleep(pause)
    state = await look()
  }
}

/** A pool as it was, except for one server, which was read later. */
function withServer(state: PoolState, node: string, later: PoolState): PoolState {
  const servers = state.servers.map((server) => (server.node === node ? (serverIn(later, node) ?? server) : server))
  return { ...state, servers }
}

/** Whether it takes requests; a backup does when it could. */
function isServing(server: PoolServer | undefined): boolean {
  return server?.serving === true || server?.standby === true
}

function serverIn(state: PoolState, node: string): PoolServer | undefined {
  return state.servers.find((server) => server.node === node)
}

function queueOf(via: PoolInput['via'], datacenter: string): string | undefined {
  if (via === undefined) return undefined
  const { node, node_type } = via
  if (node !== undefined && node_type === undefined) return nodeQueue(datacenter, node)
  if (node_type !== undefined && node === undefined) return nodeTypeQueue(datacenter, node_type)
  return fail('InvalidInput', 'via takes one of node and node_type')
}
