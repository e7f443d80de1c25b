/** What Temporal says of the node's queues. */
import { Connection } from '@temporalio/client'
import { messageOf } from '../../shared/log.ts'
import { type TemporalAddress, TemporalConnector } from '../net/temporal-connector.ts'
import { type Finding, fail, ok, warn, worst } from './check.ts'

/** The requests to Temporal. */
export interface TemporalQuestion extends TemporalAddress {
  namespace: string
}

/** One who polls a queue. */
export interface Poller {
  identity: string
  /** When it was seen last, in milliseconds since the epoch. */
  seenAt: number
}

/** Of temporal.api.enums.v1: `TaskQueueType` and `DescribeTaskQueueMode`. */
const TYPES = { workflow: 1, activity: 2 } as const
const ENHANCED = 1
/** How long connecting and each question may take, in milliseconds. */
const ANSWER_TIMEOUT_MS = 4000
/** A poll lasts a minute at most: who was not seen for longer has gone. */
const POLLER_GONE_AFTER_MS = 90_000

/** Asks Temporal; nothing is kept open. */
export class TemporalDoctor {
  readonly #question: TemporalQuestion
  readonly #connection: Promise<Connection>

  constructor(question: TemporalQuestion) {
    this.#question = question
    this.#connection = connect(question)
    // Said by each check that needs it.
    this.#connection.catch(() => undefined)
  }

  /** Whether it answers, and has the namespace. */
  async checkTemporal(): Promise<Finding> {
    const { address, namespace } = this.#question
    try {
      await this.#ask(({ workflowService }) => workflowService.describeNamespace({ namespace }))
      return ok(`${address} has the namespace ${namespace}`)
    } catch (error) {
      return fail(
        `${address}, namespace ${namespace}: ${messageOf(error)}`,
        'is it running, and are address, namespace and certificates in the temporal block right?',
      )
    }
  }

  /** Whether the node's queues are served, and by the node itself. */
  async checkQueues(queues: readonly string[], node: string): Promise<Finding> {
    const findings = queues.map(async (queue) => judgeQueue(queue, await this.#pollers(queue, 'activity'), node))
    return worst(await Promise.all(findings))
  }

  /** Whether anybody runs the workflows of the datacenter. */
  async checkWorkflows(queue: string): Promise<Finding> {
    const pollers = await this.#pollers(queue, 'workflow')
    if (pollers.length > 0) return ok(`of ${queue} are run by ${identities(pollers)}`)
    return fail(`no worker runs the workflows of ${queue}`, 'at least one worker of a datacenter needs --workflows')
  }

  async close(): Promise<void> {
    await this.#connection.then((connection) => connection.close()).catch(() => undefined)
  }

  /** Those who poll a queue now, of all its partitions. */
  async #pollers(queue: string, type: keyof typeof TYPES): Promise<Poller[]> {
    const { namespace } = this.#question
    const { versionsInfo } = await this.#ask(({ workflowService }) =>
      workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: queue },
        apiMode: ENHANCED,
        taskQueueTypes: [TYPES[type]],
        reportPollers: true,
      }),
    )
    const infos = Object.values(versionsInfo ?? {}).flatMap(({ typesInfo }) => typesInfo?.[TYPES[type]]?.pollers ?? [])
    const pollers = infos.map(({ identity, lastAccessTime }) => ({
      identity: identity ?? '',
      seenAt: Number(lastAccessTime?.seconds ?? 0) * 1000,
    }))
    return pollers.filter(({ seenAt }) => Date.now() - seenAt < POLLER_GONE_AFTER_MS)
  }

  async #ask<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#connection
    return connection.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () => ask(connection))
  }
}

async function connect(question: TemporalQuestion): Promise<Connection> {
  const connector = new TemporalConnector(question)
  const options = connector.options(await connector.credentials())
  return Connection.connect({ ...options, connectTimeout: ANSWER_TIMEOUT_MS })
}

/** Judges who polls a queue; a worker's identity begins with its node. */
export function judgeQueue(queue: string, pollers: readonly Poller[], node: string): Finding {
  if (pollers.length === 0) return fail(`no worker polls ${queue}`, 'start resile worker')
  if (pollers.some(({ identity }) => identity.startsWith(`${node}/`))) return ok(`${queue} is polled by this node`)
  return warn(`${queue} is polled by ${identities(pollers)}, not by ${node}`, 'start resile worker')
}

function identities(pollers: readonly Poller[]): string {
  const all = [...new Set(pollers.map(({ identity }) => identity))].sort()
  return all.length <= 3 ? all.join(', ') : `${all.slice(0, 3).join(', ')} and ${all.length - 3} more`
}
