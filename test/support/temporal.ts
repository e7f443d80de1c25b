/** Temporal's own state, queried over its HTTP API, not through the coordinator. */
import { randomUUID } from 'node:crypto'
import { until } from './until.ts'

/** One run in Temporal's own list. */
export interface Run {
  workflowId: string
  runId: string
  type: string
  /** Such as `RUNNING`. */
  status: string
  taskQueue: string
  closeTime: string | undefined
  memo: unknown
}

export interface HistoryEvent {
  eventType: string
  /** RFC 3339 with nanoseconds. */
  eventTime: string
  workflowExecutionStartedEventAttributes?: {
    workflowType: { name: string }
    taskQueue: { name: string }
    input?: { payloads?: Payload[] }
    header?: { fields?: Record<string, Payload> }
    memo?: { fields?: Record<string, Payload> }
  }
  workflowExecutionCompletedEventAttributes?: { result?: { payloads?: Payload[] } }
  workflowExecutionFailedEventAttributes?: { failure?: { applicationFailureInfo?: { type?: string } } }
  activityTaskScheduledEventAttributes?: { taskQueue: { name: string } }
}

/** A value as Temporal keeps it, in base64. */
export interface Payload {
  metadata?: Record<string, string>
  data: string
}

/** A start without the coordinator. */
export interface PlainStart {
  workflowId: string
  type: string
  taskQueue: string
  /** Of the whole execution, in seconds. */
  timeout: number
  input?: readonly unknown[]
  /** As it stood in another start, or made up. */
  header?: Readonly<Record<string, Payload>>
  memo?: Readonly<Record<string, unknown>>
}

interface Info {
  execution: { workflowId: string; runId: string }
  type: { name: string }
  status: string
  taskQueue: string
  closeTime?: string
  memo?: { fields?: Record<string, Payload> }
}

const noShorthand = 'application/json+no-payload-shorthand'

/** Temporal's HTTP API at one address. */
export class Temporal {
  readonly #namespaceUrl: string
  readonly #url: string

  constructor(url: string, namespace: string) {
    this.#url = url
    this.#namespaceUrl = `${url}/api/v1/namespaces/${namespace}`
  }

  /** Whether it answers at all. */
  async isUp(): Promise<boolean> {
    const answer = await fetch(`${this.#url}/api/v1/system-info`, { signal: AbortSignal.timeout(1_000) }).catch(
      () => undefined,
    )
    return answer?.ok === true
  }

  async isBack(within = 60_000): Promise<void> {
    await until('Temporal answers', () => this.isUp(), { within, every: 50 })
  }

  /** All runs of a type that it lists. */
  async list(type: string): Promise<Run[]> {
    const runs: Run[] = []
    let nextPageToken = ''
    do {
      const query = new URLSearchParams({ query: `WorkflowType="${type}"`, pageSize: '1000', nextPageToken })
      const page = await this.#ask<{ executions?: Info[]; nextPageToken?: string }>(`/workflows?${query}`)
      runs.push(...(page.executions ?? []).map(runOf))
      nextPageToken = page.nextPageToken ?? ''
    } while (nextPageToken !== '')
    return runs
  }

  /** How many runs its Visibility finds, which is not always up to date. */
  async count(query: string): Promise<number> {
    const { count = '0' } = await this.#ask<{ count?: string }>(`/workflow-count?${new URLSearchParams({ query })}`)
    return Number(count)
  }

  async start({ workflowId, type, taskQueue, timeout, input = [], header, memo }: PlainStart): Promise<void> {
    const body = {
      workflowType: { name: type },
      taskQueue: { name: taskQueue },
      requestId: randomUUID(),
      workflowExecutionTimeout: `${timeout}s`,
      workflowIdReusePolicy: 'WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE',
      input: { payloads: input.map(writePayload) },
      ...(header === undefined ? {} : { header: { fields: header } }),
      ...(memo === undefined ? {} : { memo: { fields: payloadsOf(memo) } }),
    }
    await this.#ask(`/workflows/${workflowId}`, { method: 'POST', body })
  }

  /** The list, as soon as it has this many runs at least. */
  async listOnce(type: string, count: number): Promise<Run[]> {
    const enough = async () => {
      const runs = await this.list(type)
      return runs.length >= count && runs
    }
    return until(`Temporal lists ${count} of ${type}`, enough)
  }

  /** The current run of an id; undefined if it knows none. */
  async describe(workflowId: string): Promise<Run | undefined> {
    const path = `/workflows/${workflowId}`
    const answer = await this.#ask<{ workflowExecutionInfo: Info } | undefined>(path, { absent: undefined })
    return answer === undefined ? undefined : runOf(answer.workflowExecutionInfo)
  }

  /** The events of one run, of an id's current run without. */
  async history(workflowId: string, runId = ''): Promise<HistoryEvent[]> {
    const query = new URLSearchParams({ 'execution.runId': runId })
    const path = `/workflows/${workflowId}/history?${query}`
    const { history } = await this.#ask<{ history: { events: HistoryEvent[] } }>(path)
    return history.events
  }

  /** The queues to which it has sent the activities of an id. */
  async activityQueues(workflowId: string): Promise<string[]> {
    const events = await this.history(workflowId)
    return events.flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.taskQueue.name ?? [])
  }

  async terminate(workflowId: string): Promise<void> {
    await this.#ask(`/workflows/${workflowId}/terminate`, { method: 'POST' })
  }

  async #ask<T>(
    path: string,
    { method = 'GET', body = {}, ...absent }: { method?: string; body?: object; absent?: T } = {},
  ): Promise<T> {
    const answer = await fetch(this.#namespaceUrl + path, {
      method,
      headers: { accept: noShorthand, 'content-type': noShorthand },
      ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    if (answer.status === 404 && 'absent' in absent) return absent.absent
    if (!answer.ok) throw new Error(`Temporal: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
}

function runOf(info: Info): Run {
  const memo = info.memo?.fields?.['resile']
  return {
    ...info.execution,
    type: info.type.name,
    status: info.status.replace('WORKFLOW_EXECUTION_STATUS_', ''),
    taskQueue: info.taskQueue,
    closeTime: info.closeTime,
    memo: memo === undefined ? undefined : readPayload(memo),
  }
}

/** JSON as a payload. */
export function writePayload(value: unknown): Payload {
  return { metadata: { encoding: btoa('json/plain') }, data: Buffer.from(JSON.stringify(value)).toString('base64') }
}

/** The JSON in a payload. */
export function readPayload(payload: Payload): unknown {
  return JSON.parse(Buffer.from(payload.data, 'base64').toString())
}

function payloadsOf(values: Readonly<Record<string, unknown>>): Record<string, Payload> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, writePayload(value)]))
}
