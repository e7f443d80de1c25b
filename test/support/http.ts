/** The coordinator's HTTP as its contract describes it. */
import { request } from 'node:http'
import { type RequestOptions, request as secureRequest } from 'node:https'
import { expect } from 'vitest'

export interface Target {
  node?: string
  node_type?: string
  datacenter?: string
}

/** One line of a receipt. */
export interface ConstraintUse {
  kind: string
  scope: 'datacenter' | 'global' | 'node' | 'node_type'
  key: string
  limit: number
  period: string | null
  used: number
  allowed: boolean
  allowed_at: string | null
  binding: boolean
}

export interface Decision {
  id: string
  at: string
  workflow: string
  datacenter: string
  outcome: string
  code: string | null
  caller: string
  trigger: { source?: string; name?: string; fingerprint?: string } | null
  target: Target | null
  task_queue: string | null
  reason: string | null
  allowed_at: string | null
  freeze: unknown
  constraints: ConstraintUse[]
}

export interface Execution {
  id: string
  workflow: string
  workflow_id: string
  run_id: string | null
  datacenter: string
  task_queue: string
  target: Target
  status: string
  result: unknown
  error: unknown
  admitted_at: string
  started_at: string | null
  closed_at: string | null
}

export interface Started {
  decision: Decision
  execution: Execution
}

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  errors?: { path: string; message: string }[]
  decision?: Decision
}

export interface List<T> {
  items: T[]
  next_cursor: string | null
}

export interface Answer<T> {
  status: number
  headers: Headers
  text: string
  /** The parsed body; what it really is, the test has to find out. */
  body: T
}

export interface Call {
  method?: string
  /** A string or bytes are sent as they are, anything else as JSON. */
  body?: unknown
  headers?: Record<string, string>
}

/** Asks over TCP. */
export async function call<T = unknown>(url: string, { method, body, headers }: Call = {}): Promise<Answer<T>> {
  const answer = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: encode(body) }),
    redirect: 'manual',
  })
  return parsed(answer.status, answer.headers, await answer.text())
}

/** Asks over a unix socket. */
export async function callSocket<T = unknown>(socketPath: string, path: string, sent: Call = {}): Promise<Answer<T>> {
  return callWith<T>({ socketPath }, path, sent)
}

/** Sends a request with connection options that a URL cannot hold, by Node's own client; over TLS if `protocol` says so. */
export async function callWith<T = unknown>(to: RequestOptions, path: string, sent: Call = {}): Promise<Answer<T>> {
  const { method, body, headers } = sent
  const ask = to.protocol === 'https:' ? secureRequest : request
  return new Promise((resolve, reject) => {
    const outgoing = ask({
      ...to,
      path,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { host: 'localhost', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    })
    outgoing.once('error', reject)
    outgoing.once('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.once('error', reject)
      incoming.once('end', () => {
        const received = new Headers()
        for (const [name, value] of Object.entries(incoming.headers)) received.set(name, String(value))
        resolve(parsed(incoming.statusCode ?? 0, received, Buffer.concat(chunks).toString()))
      })
    })
    outgoing.end(body === undefined ? undefined : encode(body))
  })
}

function encode(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return body
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body)
}

function parsed<T>(status: number, headers: Headers, text: string): Answer<T> {
  const isJson = /json/.test(headers.get('content-type') ?? '') && text !== ''
  return { status, headers, text, body: (isJson ? JSON.parse(text) : undefined) as T }
}

/** The start of one workflow. */
export function start(coordinator: string, workflow: string, body: unknown = {}, headers: Record<string, string> = {}) {
  return call(`${coordinator}/v1/workflows/${workflow}/executions`, { method: 'POST', body, headers })
}

/** The answer to a start that must be admitted, by default with 201. */
export function admitted(answer: Answer<unknown>, status = 201): Started {
  expect(answer.status, answer.text).toBe(status)
  const started = answer.body as Started
  expect(started.decision.outcome).toBe('admitted')
  expect(started.decision.code).toBeNull()
  expect(started.decision.id).toMatch(uuidV7)
  expect(started.execution.id).toBe(started.decision.id)
  expect(answer.headers.get('location')).toBe(`/v1/executions/${started.execution.id}`)
  return started
}

/** The problem that was answered, which has all members and says what happened. */
export function problem(answer: Answer<unknown>, status: number, code: string): Problem {
  const body = answer.body as Problem | undefined
  expect({ status: answer.status, code: body?.code }, answer.text).toEqual({ status, code })
  return wellFormed(answer)
}

/** A problem document as RFC 9457 and the contract want it, whatever it is about. */
export function wellFormed(answer: Answer<unknown>): Problem {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json\b/)
  const body = answer.body as Problem
  const text: unknown = expect.stringMatching(/./)
  expect(body).toMatchObject({ type: text, title: text, status: answer.status, detail: text, code: text })
  expect(body.code).toMatch(/^[a-z_]+$/)
  return body
}

/** An id as all of them are. */
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A time as all of them are. */
export const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** `"1h30m"` in milliseconds. */
export function milliseconds(duration: string | null): number {
  const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
  let sum = 0
  for (const [, count, unit] of (duration ?? '').matchAll(/(\d+)(ms|s|m|h)/g))
    sum += Number(count) * (units[unit ?? ''] ?? 0)
  return sum
}
