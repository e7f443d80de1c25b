import { DurableObject } from 'cloudflare:workers'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import { isOlder } from '../../shared/version.ts'
import type { LiveNode } from '../../shared/wire.ts'
import type { Fleet, Starting, Unavailable } from '../ledger/types.ts'
import { migrate } from '../migrate.ts'
import { VERSION } from '../version.ts'

/** How long one heartbeat keeps a node alive. */
const HEARTBEAT_LIFE_MS = 15_000

/** A time further in the future than this, in milliseconds, is one of before the clock was set back. */
const CLOCK_STEP_MS = 5000

/** After this time without a heartbeat, what a node's worker registered is forgotten. */
const SILENT_AFTER_MS = 60_000

/** After this time without a heartbeat, a node is considered decommissioned, and no longer dead. */
const DECOMMISSIONED_AFTER_MS = 7 * 24 * 3_600_000

/** How exactly the time of a node's last heartbeat is stored on disk: few writes, whatever the size of the fleet. */
const SEEN_AT_RESOLUTION_MS = 3_600_000

interface NodeRecord {
  node: string
  beat: Heartbeat
  lastSeen: number
}

/** What is stored on disk of a node: that it exists. */
interface KnownNode {
  types: readonly string[]
  /** To within {@link SEEN_AT_RESOLUTION_MS}. */
  seenAt: number
}

/**
 * Who is alive in one datacenter, what their workers registered, and which nodes are known at all. Heartbeats are kept in
 * memory: after a restart a node is unknown until it beats again, and an unknown node gets no work. That a node exists,
 * and of which types, is kept on disk, so that dead ones are noticed.
 *
 * Reached by name, which is the datacenter's.
 */
export class Roster extends DurableObject<Env> {
  readonly #nodes = new Map<string, NodeRecord>()
  /** Nodes by the queues they serve. */
  readonly #queues = new Map<string, Set<NodeRecord>>()
  readonly #known: Map<string, KnownNode>
  #born = Date.now()
  #swept = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, ROSTER_MIGRATIONS)
    const rows = ctx.storage.sql.exec<{ node: string; types: string; seen_at: number }>('SELECT * FROM known_nodes')
    this.#known = new Map(
      rows.toArray().map((row) => [row.node, { types: JSON.parse(row.types) as string[], seenAt: row.seen_at }]),
    )
  }

  /** Records a heartbeat. */
  beat(node: string, beat: Heartbeat): void {
    this.#remove(node)
    this.#forgetSilent()
    const record = { node, beat, lastSeen: Date.now() }
    this.#nodes.set(node, record)
    for (const queue of beat.queues) {
      const serving = this.#queues.get(queue.name) ?? new Set()
      this.#queues.set(queue.name, serving.add(record))
    }
    this.#know(record)
  }

  /** Forgets a node: it beats in another datacenter now, or is gone for good. @returns whether it was known */
  forget(node: string): boolean {
    this.#remove(node)
    if (!this.#known.delete(node)) return false
    this.ctx.storage.sql.exec('DELETE FROM known_nodes WHERE node = ?', node)
    return true
  }

  /**
   * The nodes of each type that a node has, dead ones included.
   *
   * @returns null while it isn't known which nodes are live: for the life of a heartbeat after a restart
   */
  fleetsOf(node: string): Fleet[] | null {
    // The clock was set back.
    if (Date.now() < this.#born - CLOCK_STEP_MS) this.#born = Date.now()
    if (Date.now() - this.#born < HEARTBEAT_LIFE_MS) return null
    return this.#fleets(this.#known.get(node)?.types ?? [])
  }

  /** The same of every type that there is. */
  fleets(): Fleet[] {
    return this.#fleets([...new Set([...this.#known.values()].flatMap(({ types }) => types))].sort())
  }

  /**
   * Whether a live worker can take a start: one serves `taskQueue`, and one on `workflowQueue` has registered the type.
   *
   * @returns null when it can, else why not; `starting` while nodes that are known have not reported since a restart
   */
  availability(taskQueue: string, workflowQueue: string, workflowType: string): Unavailable | Starting | null {
    const problem = this.#unavailability(taskQueue, workflowQueue, workflowType)
    const isKnown = problem === null || Date.now() - this.#born >= HEARTBEAT_LIFE_MS
    if (isKnown || [...this.#known.keys()].every((node) => this.#nodes.has(node))) return problem
    return {
      code: 'starting',
      detail: `${problem.detail}, but not every node has reported since the coordinator started`,
    }
  }

  #unavailability(taskQueue: string, workflowQueue: string, workflowType: string): Unavailable | null {
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

  #fleets(types: readonly string[]): Fleet[] {
    return types.map((type) => {
      const nodes = [...this.#known].flatMap(([node, known]) => (known.types.includes(type) ? [node] : []))
      const dead = nodes.filter((node) => {
        const record = this.#nodes.get(node)
        return record === undefined || !isLive(record)
      })
      return { type, nodes, dead }
    })
  }

  #know({ node, beat, lastSeen }: NodeRecord): void {
    const known = this.#known.get(node)
    const types = [...beat.types].sort()
    const isSame = known !== undefined && JSON.stringify(known.types) === JSON.stringify(types)
    if (isSame && lastSeen - known.seenAt < SEEN_AT_RESOLUTION_MS) return
    this.#known.set(node, { types, seenAt: lastSeen })
    this.ctx.storage.sql.exec(
      `INSERT INTO known_nodes (node, types, seen_at) VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET types = ?2, seen_at = ?3`,
      node,
      JSON.stringify(types),
      lastSeen,
    )
  }

  *#serving(queue: string): Generator<NodeRecord> {
    for (const record of this.#queues.get(queue) ?? []) {
      if (isLive(record)) yield record
    }
  }

  /** Nodes may return under new names without end; memory does not grow without end. */
  #forgetSilent(): void {
    const now = Date.now()
    if (now - this.#swept < HEARTBEAT_LIFE_MS) return
    this.#swept = now
    for (const [node, { lastSeen }] of this.#nodes) {
      if (now - lastSeen > SILENT_AFTER_MS) this.#remove(node)
    }
    for (const [node, { seenAt }] of this.#known) {
      if (now - seenAt > DECOMMISSIONED_AFTER_MS && !this.#nodes.has(node)) this.forget(node)
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

const ROSTER_MIGRATIONS: readonly string[] = [
  'CREATE TABLE known_nodes (node TEXT PRIMARY KEY, types TEXT NOT NULL, seen_at INTEGER NOT NULL) WITHOUT ROWID',
]

function isLive({ beat, lastSeen }: NodeRecord): boolean {
  const silence = Date.now() - lastSeen
  // Concurrent requests may see slightly different clocks: workerd's clock does not advance between two events.
  // A heartbeat in the future is from before the clock was set back: its age is unknown.
  return !beat.draining && silence > -CLOCK_STEP_MS && silence < HEARTBEAT_LIFE_MS
}

function toLiveNode({ node, beat, lastSeen }: NodeRecord): LiveNode {
  const { datacenter, types, labels, build_id, version = null, boot_id, draining, queues } = beat
  return {
    node,
    datacenter,
    types,
    labels,
    build_id: build_id ?? null,
    version,
    outdated: isOlder(version, VERSION),
    boot_id: boot_id ?? null,
    draining,
    queues,
    last_seen_at: new Date(lastSeen).toISOString(),
  }
}
