/** A coordinator in the test's own isolate: requests to the application, heartbeats, and its ledger. */
import { createExecutionContext, env, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { Decision, Execution, Problem } from '../../shared/wire.ts'
import { createApp } from '../app.ts'
import { config } from '../config.ts'
import { IMPORT } from '../ledger/reconcile/reconciler.ts'

/** How often, and after how long each time, an alarm is looked for: longer than a run that Temporal leaves without answer. */
const MAX_ALARM_TRIES = 1500
const ALARM_RETRY_INTERVAL_MS = 20

// A test's Temporal lists at once what it has.
IMPORT.pauseMs = 0

const bindings = env as unknown as Env
const app = createApp(config, 'network')

/** An answer with its body parsed. */
export interface Answer {
  status: number
  headers: Headers
  body: Omit<Problem, 'items'> & { decision: Decision; execution: Execution & { id: string } } & Record<string, unknown>
}

/** Sends a request to the application. An object is sent as JSON, anything else as it is. */
export async function request(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const init = {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(text === undefined ? {} : { body: text }),
  }
  return send(new Request(`http://coordinator.test${path}`, init))
}

/** Sends a request as it is, perhaps to an application with another configuration, or bound to more. */
export async function send(to: Request, application = app, more: Record<string, unknown> = {}): Promise<Answer> {
  const response = await application.fetch(to, { ...bindings, ...more }, createExecutionContext())
  const answer = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: (answer.startsWith('{') ? JSON.parse(answer) : { answer }) as Answer['body'],
  }
}

/** Starts a workflow on web-1, or with the given body. */
export function start(
  workflow: string,
  headers: Record<string, string> = {},
  body: object = { target: { node: 'web-1' } },
): Promise<Answer> {
  return request('POST', `/v1/workflows/${workflow}/executions`, body, headers)
}

/**
 * Starts a workflow on web-1 while Temporal can't be reached. The response does not wait for the first attempt, but this does:
 * what a test changes afterwards does not meet an attempt that is still under way.
 */
export async function startPending(workflow: string): Promise<Answer> {
  const answer = await start(workflow, { prefer: 'wait=0' })
  await alarmNow()
  return answer
}

/** Lets nodes beat that serve everything the test config needs, and the ledger import what runs. */
export async function sendHeartbeats(nodes: readonly string[] = ['web-1', 'web-2'], datacenter = 'dc1'): Promise<void> {
  await request('GET', '/readyz')
  const types = Object.keys(config.workflows).map((name) =>
    name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
  )
  for (const node of nodes) {
    await request('PUT', `/v1/nodes/${node}`, {
      datacenter,
      types: ['database', 'web'],
      queues: [
        { name: datacenter, workflow_types: types, activity_types: ['runCommand'] },
        { name: `${datacenter}:node:${node}`, activity_types: ['runCommand'] },
        { name: `${datacenter}:type:database`, workflow_types: types, activity_types: ['runCommand'] },
        { name: `${datacenter}:type:web`, activity_types: ['runCommand'] },
      ],
    })
  }
}

/** The ledger of a datacenter. */
export function ledger(datacenter = 'dc1'): ReturnType<Env['LEDGER']['getByName']> {
  return bindings.LEDGER.getByName(datacenter)
}

/** Runs a ledger's alarm as if its time had come, after the run that may be under way by itself: meanwhile none is set. */
export async function alarm(datacenter = 'dc1'): Promise<void> {
  for (let tries = 0; tries < MAX_ALARM_TRIES; tries++) {
    if (await runDurableObjectAlarm(ledger(datacenter))) return
    await scheduler.wait(ALARM_RETRY_INTERVAL_MS)
  }
  throw new Error(`the ledger of ${datacenter} sets no alarm`)
}

/** Makes all that a ledger has to do due, and runs its alarm. */
export async function alarmNow(datacenter = 'dc1'): Promise<void> {
  await runInDurableObject(ledger(datacenter), (_, { storage }) => {
    storage.sql.exec('UPDATE executions SET next_at = 0 WHERE next_at IS NOT NULL')
    storage.sql.exec('UPDATE usage_reports SET next_at = 0')
    storage.sql.exec('UPDATE escalations SET next_at = 0 WHERE next_at IS NOT NULL')
  })
  await alarm(datacenter)
}

/** One execution as the coordinator shows it. */
export async function execution(id: string): Promise<Record<string, unknown>> {
  return (await request('GET', `/v1/executions/${id}`)).body
}

/** Runs SQL in a ledger. */
export async function sql(statement: string, ...values: (string | number)[]): Promise<Record<string, unknown>[]> {
  return runInDurableObject(ledger(), (_, { storage }) => storage.sql.exec(statement, ...values).toArray())
}
