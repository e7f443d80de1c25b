import { DurableObject } from 'cloudflare:workers'
import type { Heartbeat, LiveNode } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import type { Unavailable } from '../ledger/types.ts'

/** How long one heartbeat keeps a node alive, in milliseconds. */
const HEARTBEAT_LIFE = 15_000

/** After this time without a heartbeat, in milliseconds, a node is forgotten. */
const SILENCE = 60_000

interface NodeRecord {
  node: string
  beat: Heartbeat
  lastSeen: number
}

/**
 * Who is alive in one datacenter, and what their workers registered. Kept in memory: after a restart a node is unknown
 * until it beats again, and an unknown node gets no work.
 *
 * Reached by name, which is the datacenter's.
 */
export class Roster extends DurableObject<Env> {
  readonly #nodes = new Map<string, NodeRecord>()
  /** Nodes by the queues they serve. */
  readonly #queues = new Map<string, Set<NodeRecord>>()
  #swept = 0

  /** Takes a heartbeat. */
  beat(node: string, beat: Heartbeat): void {
    this.#remove(node)
    this.#forgetSilent()
    const record = { node, beat, lastSeen: Date.now() }
    this.#nodes.set(node, record)
    for (const queue of beat.queues) {
      const serving = this.#queues.get(queue.name) ?? new Set()
      this.#queues.set(queue.name, serving.add(record))
    }
  }

  /** Drops a node that now beats in another datacenter. */
  forget(node: string): void {
    this.#remove(node)
  }

  /**
   * Whether a live worker can take a start: one serves `taskQueue`, and one on `workflowQueue` has registered the type.
   *
   * @returns null when it can, else why not
   */
  availability(taskQueue: string, workflowQueue: string, workflowType: string): Unavailable | null {
    for (const queue of new Set([taskQueue, workflowQueue])) {
      if (this.#serving(queue).next().done)
        return { code: 'no_worker', detail: `no live worker serves the task queue ${queue}` }
    }
    for (const { beat } of this.#serving(workflowQueue)) {
      const registered = beat.queues.some(
        (queue) => queue.name === workflowQueue && queue.workflow_types.includes(workflowType),
      )
      if (registered) return null
    }
    return {
      code: 'workflow_not_registered',
      detail: `no live worker on the task queue ${workflowQueue} has registered the workflow type ${workflowType}`,
    }
  }

  /** Live nodes, by name. */
  nodes(): LiveNode[] {
    return [...this.#nodes.values()]
      .filter(isLive)
      .map(toLiveNode)
      .sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  /** One live node. */
  node(name: string): LiveNode | null {
    const record = this.#nodes.get(name)
    return record === undefined || !isLive(record) ? null : toLiveNode(record)
  }

  *#serving(queue: string): Generator<NodeRecord> {
    for (const record of this.#queues.get(queue) ?? []) {
      if (isLive(record)) yield record
    }
  }

  /** Nodes come back under new names for ever (or somebody makes them up); memory does not. */
  #forgetSilent(): void {
    const now = Date.now()
    if (now - this.#swept < HEARTBEAT_LIFE) return
    this.#swept = now
    for (const [node, { lastSeen }] of this.#nodes) {
      if (now - lastSeen > SILENCE) this.#remove(node)
    }
  }

  #remove(node: string): void {
    const record = this.#nodes.get(node)
    if (record === undefined) return
    this.#nodes.delete(node)
    for (const { name } of record.beat.queues) {
      const serving = this.#queues.get(name)
      serving?.delete(record)
      if (serving?.size === 0) this.#queues.delete(name)
    }
  }
}

function isLive({ beat, lastSeen }: NodeRecord): boolean {
  return !beat.draining && Date.now() - lastSeen < HEARTBEAT_LIFE
}

function toLiveNode({ node, beat, lastSeen }: NodeRecord): LiveNode {
  const { datacenter, types, labels, build_id, boot_id, draining, queues } = beat
  return {
    node,
    datacenter,
    types,
    labels,
    build_id: build_id ?? null,
    boot_id: boot_id ?? null,
    draining,
    queues,
    last_seen_at: new Date(lastSeen).toISOString(),
  }
}
