/** What Temporal itself says, asked past the coordinator over its HTTP API. */
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
  activityTaskScheduledEventAttributes?: { taskQueue: { name: string } }
}

interface Info {
  execution: { workflowId: string; runId: string }
  type: { name: string }
  status: string
  taskQueue: string
  closeTime?: string
  memo?: { fields?: Record<string, { data: string }> }
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
    const query = new URLSearchParams({ query: `WorkflowType="${type}"`, pageSize: '1000' })
    const { executions = [] } = await this.#ask<{ executions?: Info[] }>(`/workflows?${query}`)
    return executions.map(runOf)
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

  /** The events of an id's current run. */
  async history(workflowId: string): Promise<HistoryEvent[]> {
    const { history } = await this.#ask<{ history: { events: HistoryEvent[] } }>(`/workflows/${workflowId}/history`)
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

  async #ask<T>(path: string, { method = 'GET', ...absent }: { method?: string; absent?: T } = {}): Promise<T> {
    const answer = await fetch(this.#namespaceUrl + path, {
      method,
      headers: { accept: noShorthand, 'content-type': noShorthand },
      ...(method === 'GET' ? {} : { body: '{}' }),
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
    memo: memo === undefined ? undefined : JSON.parse(Buffer.from(memo.data, 'base64').toString()),
  }
}
