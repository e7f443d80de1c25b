/**
 * Temporal over its HTTP API, as far as the coordinator needs it. One `fetch`-shaped port reaches it: an external
 * service in workerd, a private-network binding at the edge, the global fetch under `wrangler dev`.
 *
 * Answers are judged by the gRPC code in the body, never by the HTTP status: a proxy's bare 503 proves nothing.
 *
 * @see https://github.com/temporalio/api, temporal/api/workflowservice/v1/service.proto (HTTP annotations)
 */
import { encodePayload, encodePayloads, type Payload } from '../../shared/payload.ts'

/** The port: anything that fetches. */
export interface TemporalPort {
  fetch(input: string, init?: RequestInit): Promise<Response>
}

/** An answer of Temporal: its body, or the gRPC status it refused with. */
export type TemporalAnswer =
  | { ok: true; body: Record<string, unknown> }
  | { ok: false; code: number; message: string; details: readonly StatusDetail[] }
  /** No answer from Temporal itself: a timeout, a broken connection, a proxy. The request may have taken effect. */
  | { ok: null; message: string }

/** One detail of a google.rpc.Status; `@type` names its kind. */
export interface StatusDetail {
  '@type'?: string
  [field: string]: unknown
}

/** gRPC status codes that the coordinator distinguishes. */
export const GRPC = {
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  unauthenticated: 16,
} as const

/** What is sent to start a workflow. Times in milliseconds. */
export interface StartRequest {
  workflowId: string
  requestId: string
  workflowType: string
  taskQueue: string
  args: readonly unknown[]
  executionTimeout: number
  /** How long the request may take; default and most: {@link REQUEST_TIMEOUT_MS}. */
  requestTimeout?: number
  memo?: Record<string, unknown>
  header?: Record<string, unknown>
}

/** Told of every answer that Temporal itself gave. */
export type AnswerObserver = (date: string | null, sentAt: number, receivedAt: number) => void

/** No request to Temporal may take longer, in milliseconds. */
const REQUEST_TIMEOUT_MS = 5000
const CONTENT_TYPE = 'application/json+no-payload-shorthand'

/** Temporal's namespace, seen through the port. None of its methods throws for what the network or Temporal does. */
export class TemporalClient {
  readonly #port: TemporalPort
  readonly #base: string
  readonly #identity: string
  readonly #observe: AnswerObserver | undefined

  /**
   * @param httpUrl  base URL of the HTTP API
   * @param identity who is calling, for Temporal's history
   * @param observe  called with the `Date` of every answer, and when it was requested and received
   */
  constructor(port: TemporalPort, httpUrl: string, namespace: string, identity: string, observe?: AnswerObserver) {
    this.#port = port
    this.#observe = observe
    this.#base = `${httpUrl.replace(/\/+$/, '')}/api/v1/namespaces/${encodeURIComponent(namespace)}`
    this.#identity = identity
  }

  /** Starts a workflow, at most once for one workflow id, whatever is sent again. */
  start(order: StartRequest): Promise<TemporalAnswer> {
    const timeout = `${order.executionTimeout / 1000}s`
    return this.#call(
      'POST',
      `/workflows/${encodeURIComponent(order.workflowId)}`,
      {
        workflowType: { name: order.workflowType },
        taskQueue: { name: order.taskQueue },
        input: encodePayloads(order.args),
        requestId: order.requestId,
        identity: this.#identity,
        workflowIdReusePolicy: 'WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'WORKFLOW_ID_CONFLICT_POLICY_FAIL',
        workflowExecutionTimeout: timeout,
        workflowRunTimeout: timeout,
        ...(order.memo === undefined ? {} : { memo: { fields: encodeFields(order.memo) } }),
        ...(order.header === undefined ? {} : { header: { fields: encodeFields(order.header) } }),
      },
      order.requestTimeout,
    )
  }

  /** The state of the workflow's current run. Strongly consistent. */
  describe(workflowId: string): Promise<TemporalAnswer> {
    return this.#call('GET', `/workflows/${encodeURIComponent(workflowId)}`)
  }

  /** The event that closed one run; only requested for a run that is known to be closed, since Temporal would wait for it. */
  closeEvent(workflowId: string, runId: string): Promise<TemporalAnswer> {
    const query = new URLSearchParams({
      'execution.runId': runId,
      historyEventFilterType: 'HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT',
      skipArchival: 'true',
    })
    return this.#call('GET', `/workflows/${encodeURIComponent(workflowId)}/history?${query}`)
  }

  /**
   * One page of a run's history, from its beginning.
   *
   * @param runId null for the current run @param pageToken of the answer before, empty for the first page
   */
  history(workflowId: string, runId: string | null, pageToken: string): Promise<TemporalAnswer> {
    const query = new URLSearchParams({ maximumPageSize: '500', skipArchival: 'true' })
    if (runId !== null) query.set('execution.runId', runId)
    if (pageToken !== '') query.set('nextPageToken', pageToken)
    return this.#call('GET', `/workflows/${encodeURIComponent(workflowId)}/history?${query}`)
  }

  /** The last events of a run's history, newest first. */
  latestEvents(workflowId: string, runId: string, count: number): Promise<TemporalAnswer> {
    const query = new URLSearchParams({ 'execution.runId': runId, maximumPageSize: String(count) })
    return this.#call('GET', `/workflows/${encodeURIComponent(workflowId)}/history-reverse?${query}`)
  }

  /** Asks the workflow to cancel itself; repeating it with the same request id changes nothing. */
  cancel(workflowId: string, requestId: string, reason: string): Promise<TemporalAnswer> {
    return this.#call('POST', `/workflows/${encodeURIComponent(workflowId)}/cancel`, {
      requestId,
      reason,
      identity: this.#identity,
    })
  }

  /**
   * Executions as Visibility shows them, newest first: it may lag behind, so it proves nothing.
   *
   * @param query a Visibility query @param pageToken of the answer before, empty for the first page
   */
  list(query: string, pageSize: number, pageToken: string): Promise<TemporalAnswer> {
    const parameters = new URLSearchParams({ query, pageSize: String(pageSize) })
    if (pageToken !== '') parameters.set('nextPageToken', pageToken)
    return this.#call('GET', `/workflows?${parameters}`)
  }

  /** The namespace: shows that Temporal answers, which namespace it is, and how long it keeps closed executions. */
  namespace(timeout?: number): Promise<TemporalAnswer> {
    return this.#call('GET', '', undefined, timeout)
  }

  async #call(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    timeout = REQUEST_TIMEOUT_MS,
  ): Promise<TemporalAnswer> {
    try {
      const sentAt = Date.now()
      const response = await this.#port.fetch(`${this.#base}${path}`, {
        method,
        headers: { accept: CONTENT_TYPE, ...(body === undefined ? {} : { 'content-type': CONTENT_TYPE }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(Math.min(timeout, REQUEST_TIMEOUT_MS)),
      })
      const answer = readAnswer(response.status, await response.text())
      if (answer.ok !== null) this.#observe?.(response.headers.get('date'), sentAt, Date.now())
      return answer
    } catch (error) {
      return { ok: null, message: `no answer from Temporal: ${error instanceof Error ? error.message : String(error)}` }
    }
  }
}

/** Whether an id can be part of a path as it is: Temporal's gateway routes on the decoded path. Our own ids always can. */
export function isPathSafe(workflowId: string): boolean {
  return /^[\w.:@ -]{1,1000}$/.test(workflowId) && !/^\.+$/.test(workflowId)
}

/** Reads an answer's body; exported for tests. */
export function readAnswer(status: number, text: string): TemporalAnswer {
  const body = parseObject(text)
  if (body === null) return { ok: null, message: `HTTP ${status} without an answer of Temporal` }
  if (status === 200) return { ok: true, body }
  if (typeof body.code !== 'number') return { ok: null, message: `HTTP ${status} without a gRPC status` }
  return {
    ok: false,
    code: body.code,
    message: typeof body.message === 'string' ? body.message : `gRPC status ${body.code}`,
    details: Array.isArray(body.details) ? body.details.filter(isDetail) : [],
  }
}

/** Whether one of a refusal's details is of the named kind, such as `NamespaceNotFoundFailure`. */
export function hasDetail(answer: TemporalAnswer, kind: string): boolean {
  return answer.ok === false && answer.details.some((detail) => detail['@type']?.endsWith(`.${kind}`) === true)
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function isDetail(value: unknown): value is StatusDetail {
  return typeof value === 'object' && value !== null
}

function encodeFields(fields: Record<string, unknown>): Record<string, Payload> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, encodePayload(value)]))
}
