/** What Temporal's histories tell of all runs of a drill. */
import { type HistoryEvent, readPayload, type Temporal } from '../support/temporal.ts'
import { until } from '../support/until.ts'
import type { Run } from './judge.ts'

/** How many histories are fetched at the same time. */
const PARALLEL = 8
/** How long a failed fetch is retried, in milliseconds: a busy machine must not end a drill. */
const ANSWER_WITHIN = 60_000

/** All runs that were ever found; those that have ended are read once. */
export class Histories {
  readonly #temporal: Temporal
  readonly #types: readonly string[]
  readonly #runs = new Map<string, Run>()

  constructor(temporal: Temporal, types: readonly string[]) {
    this.#temporal = temporal
    this.#types = types
  }

  get runs(): Run[] {
    return [...this.#runs.values()]
  }

  /** Finds new runs, and reads again those that were open. */
  async refresh(): Promise<void> {
    const listed = await Promise.all(this.#types.map((type) => insist(() => this.#temporal.list(type))))
    const open = this.runs.filter(({ ending }) => ending === null)
    const wanted = new Map([...listed.flat(), ...open].map(({ workflowId, runId }) => [runId, workflowId]))
    await inParallel([...wanted], ([runId, workflowId]) => this.#read(workflowId, runId))
  }

  /**
   * The type of what has this workflow id in Temporal, null for nothing. Unlike a list this is always up to date: a run
   * that no list showed is found by it.
   */
  async holder(workflowId: string): Promise<string | null> {
    const { current } = await insist(async () => ({ current: await this.#temporal.describe(workflowId) }))
    if (current === undefined) return null
    if (this.#types.includes(current.type)) await this.#read(workflowId, current.runId)
    return current.type
  }

  async #read(workflowId: string, runId: string): Promise<void> {
    if (this.#runs.get(runId)?.ending != null) return
    // A run that is open in an answer was open when the request was sent, and perhaps not afterwards.
    const requestedAt = Date.now()
    const events = await insist(() => this.#temporal.history(workflowId, runId))
    this.#runs.set(runId, runOf(workflowId, runId, events, requestedAt))
  }
}

/** Asks until there is an answer. */
export function insist<Answer extends object>(ask: () => Promise<Answer>): Promise<Answer> {
  return until('an answer', ask, { within: ANSWER_WITHIN, every: 500 })
}

/** Does something with each of many, a few at a time. */
export async function inParallel<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const left = items.values()
  const lane = async () => {
    for (const item of left) await act(item)
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane))
}

/** Events that show that a workflow did something, or had something done. */
const DEEDS = [
  'ACTIVITY_TASK_SCHEDULED',
  'TIMER_STARTED',
  'MARKER_RECORDED',
  'START_CHILD_WORKFLOW_EXECUTION_INITIATED',
  'SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED',
  'REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED',
]
const ENDINGS = ['COMPLETED', 'FAILED', 'TIMED_OUT', 'CANCELED', 'TERMINATED', 'CONTINUED_AS_NEW']

function runOf(workflowId: string, runId: string, events: readonly HistoryEvent[], requestedAt: number): Run {
  const first = events[0]
  const started = first?.workflowExecutionStartedEventAttributes
  if (first === undefined || started === undefined) throw new Error(`the history of ${workflowId} has no begin`)
  const last = events.at(-1) ?? first
  const types = events.map(({ eventType }) => eventType.replace('EVENT_TYPE_', ''))
  const ending = ENDINGS.find((name) => types.at(-1) === `WORKFLOW_EXECUTION_${name}`) ?? null
  const memo = fieldOf<{ target?: { node?: string } }>(started.memo)
  const routing = fieldOf<{ begin_by?: string }>(started.header)
  const [input] = (started.input?.payloads ?? []).map((payload) => readPayload(payload) as { mark?: string })
  return {
    workflowId,
    runId,
    type: started.workflowType.name,
    // The queues of a datacenter begin with its name.
    datacenter: started.taskQueue.name.split(':')[0] ?? '',
    node: memo?.target?.node ?? null,
    startedAt: Date.parse(first.eventTime),
    openUntil: ending === null ? requestedAt : Date.parse(last.eventTime),
    ending,
    failure: last.workflowExecutionFailedEventAttributes?.failure?.applicationFailureInfo?.type ?? null,
    beginBy: routing?.begin_by === undefined ? null : Date.parse(routing.begin_by),
    mark: input?.mark ?? null,
    deeds: types.filter((type) => DEEDS.includes(type)),
  }
}

/** What the coordinator left in a memo or header. */
function fieldOf<T>(holder: { fields?: Record<string, { data: string }> } | undefined): T | undefined {
  const payload = holder?.fields?.['resile']
  return payload === undefined ? undefined : (readPayload(payload) as T)
}
