/** A fake Temporal, for faults that a real one doesn't produce on demand. It replaces `fetch`. */
import { vi } from 'vitest'
import { encodePayload } from '../../shared/payload.ts'

/** What happens to the next requests: answered, refused with a gRPC status, lost before or after it took effect. */
export type Fault =
  | 'none'
  | 'unreachable'
  | 'no answer'
  | 'reply lost'
  | 'proxy 503'
  /** Taken and kept, to arrive when {@link FakeTemporal.deliver} is called; who sent it is told that it was cut off. */
  | 'held'
  | { code: number; message: string }

interface FakeExecution {
  requestId: string
  runId: string
  type: string
  body: Record<string, unknown>
  status: string
  result: unknown
  startTime: number
  closeTime?: number
  /** Set for a child. */
  rootWorkflowId?: string
}

/** Temporal's semantics of start, describe, history and cancel for one namespace, as far as the coordinator relies on them. */
export class FakeTemporal {
  readonly executions = new Map<string, FakeExecution>()
  /** Every start request that reached it, in order. */
  readonly starts: { workflowId: string; requestId: string; type: string }[] = []
  readonly cancels: string[] = []
  /** Every path that was asked for, in order. */
  readonly paths: string[] = []
  readonly #held: { url: URL; init: RequestInit | undefined }[] = []
  fault: Fault = 'none'
  /** Verbs (`cancel`, `history`) that are refused with a passing gRPC status, whatever else works. */
  readonly busyVerbs = new Set<string>()
  /** What its lists don't show yet. */
  readonly hidden = new Set<string>()
  /** Id of its namespace; a new one after the namespace was created again. */
  namespaceId = crypto.randomUUID()
  /** How far its clock is ahead of this machine's, in milliseconds; without a number its answers carry no date. */
  clockAhead = 0

  /** Takes the place of the global fetch. */
  install(): void {
    vi.spyOn(globalThis, 'fetch').mockImplementation((input, init) => this.#fetch(new URL(String(input)), init))
  }

  /** Starts an execution without the coordinator. */
  startForeign(workflowId: string, type: string, taskQueue: string, startTime = Date.now()): void {
    this.executions.set(workflowId, {
      requestId: 'foreign',
      runId: crypto.randomUUID(),
      type,
      body: { taskQueue: { name: taskQueue } },
      status: 'WORKFLOW_EXECUTION_STATUS_RUNNING',
      result: null,
      startTime,
    })
  }

  /** Resets an execution: it runs again, as another run. */
  resetExecution(workflowId: string): void {
    const execution = this.#execution(workflowId)
    Object.assign(execution, { status: 'WORKFLOW_EXECUTION_STATUS_RUNNING', runId: crypto.randomUUID() })
  }

  /** How many requests are held. */
  get heldCount(): number {
    return this.#held.length
  }

  /** Lets a held request arrive now; its answer reaches nobody. */
  deliver(index: number): void {
    const [request] = this.#held.splice(index, 1)
    if (request !== undefined) this.#handle(request.url, request.init)
  }

  /** Ends an execution. */
  close(
    workflowId: string,
    status: 'COMPLETED' | 'FAILED' | 'TERMINATED' | 'TIMED_OUT' | 'CANCELED',
    result: unknown = null,
  ): void {
    const execution = this.#execution(workflowId)
    execution.closeTime = Date.now()
    execution.status = `WORKFLOW_EXECUTION_STATUS_${status}`
    execution.result = result
  }

  #execution(workflowId: string): FakeExecution {
    const execution = this.executions.get(workflowId)
    if (execution === undefined) throw new Error(`no execution ${workflowId}`)
    return execution
  }

  async #fetch(url: URL, init: RequestInit | undefined): Promise<Response> {
    const fault = this.fault
    this.paths.push(url.pathname)
    if (fault === 'held') {
      this.#held.push({ url, init })
      throw new Error('connection reset')
    }
    if (fault === 'unreachable') throw new Error('connection refused')
    if (fault === 'no answer') return new Promise(() => undefined)
    if (fault === 'proxy 503') return new Response('upstream connect error', { status: 503 })
    if (typeof fault === 'object') return Response.json(fault, { status: 400 })
    const answer = this.#handle(url, init)
    if (!Number.isNaN(this.clockAhead)) answer.headers.set('date', new Date(Date.now() + this.clockAhead).toUTCString())
    if (fault === 'reply lost') throw new Error('connection reset')
    return answer
  }

  #handle(url: URL, init: RequestInit | undefined): Response {
    const [, id = '', verb] = /\/workflows\/([^/]+)(?:\/([a-z-]+))?$/.exec(url.pathname) ?? []
    if (/\/namespaces\/[^/]+$/.test(url.pathname)) {
      return Response.json({
        namespaceInfo: { name: 'default', id: this.namespaceId },
        config: { workflowExecutionRetentionTtl: '2678400s' },
      })
    }
    if (url.pathname.endsWith('/workflows')) return this.#list(url.searchParams.get('query') ?? '')
    const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as Record<string, unknown>) : {}
    const execution = this.executions.get(id)
    if (verb === undefined && init?.method === 'POST') return this.#start(id, body)
    if (execution === undefined)
      return Response.json({ code: 5, message: 'workflow not found', details: [] }, { status: 404 })
    if (verb !== undefined && this.busyVerbs.has(verb))
      return Response.json({ code: 8, message: 'busy' }, { status: 429 })
    if (verb === 'cancel') {
      this.cancels.push(id)
      return Response.json({})
    }
    if (verb === 'history') return Response.json({ history: { events: [closeEvent(execution)] } })
    return Response.json({
      workflowExecutionInfo: { execution: { workflowId: id, runId: execution.runId }, status: execution.status },
    })
  }

  /** Its executions on the queues of a datacenter, or the one with a workflow id; lists nothing that is `hidden`. */
  #list(query: string): Response {
    const datacenter = /TaskQueue = "([^"]+)"/.exec(query)?.[1]
    const only = /^WorkflowId = "(.*)"$/.exec(query)?.[1]?.replaceAll(/\\(.)/g, '$1')
    const queueOf = (body: Record<string, unknown>): string => (body.taskQueue as { name: string }).name
    const executions = [...this.executions]
      .filter(([id]) => !this.hidden.has(id) && (only === undefined || id === only))
      .filter(([, { body }]) => datacenter === undefined || `${queueOf(body)}:`.startsWith(`${datacenter}:`))
      .map(([workflowId, { runId, type, status, body, startTime, rootWorkflowId }]) => ({
        execution: { workflowId, runId },
        type: { name: type },
        status,
        taskQueue: queueOf(body),
        startTime: new Date(startTime).toISOString(),
        ...(status.endsWith('RUNNING') ? {} : { closeTime: new Date().toISOString() }),
        memo: body.memo,
        rootExecution: { workflowId: rootWorkflowId ?? workflowId },
      }))
    return Response.json({ executions })
  }

  #start(workflowId: string, body: Record<string, unknown>): Response {
    const requestId = String(body.requestId)
    const type = (body.workflowType as { name: string }).name
    this.starts.push({ workflowId, requestId, type })
    const present = this.executions.get(workflowId)
    if (present !== undefined && present.requestId !== requestId) {
      const kind = 'type.googleapis.com/temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure'
      return Response.json(
        {
          code: 6,
          message: 'already started',
          details: [{ '@type': kind, startRequestId: present.requestId, runId: present.runId }],
        },
        { status: 409 },
      )
    }
    const execution = present ?? {
      requestId,
      runId: crypto.randomUUID(),
      type,
      body,
      status: 'WORKFLOW_EXECUTION_STATUS_RUNNING',
      result: null,
      startTime: Date.now(),
    }
    this.executions.set(workflowId, execution)
    return Response.json({ runId: execution.runId, started: true })
  }
}

function closeEvent(execution: FakeExecution): object {
  if (execution.status.endsWith('COMPLETED')) {
    return { workflowExecutionCompletedEventAttributes: { result: { payloads: [encodePayload(execution.result)] } } }
  }
  if (execution.status.endsWith('FAILED')) {
    return {
      workflowExecutionFailedEventAttributes: {
        failure: { message: String(execution.result), applicationFailureInfo: { type: 'NotHealthy' } },
      },
    }
  }
  return { workflowExecutionTerminatedEventAttributes: { reason: 'by hand' } }
}
