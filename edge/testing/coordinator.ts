/** A coordinator in the test's own isolate: requests to the application, heartbeats, and its ledger. */
import { createExecutionContext, env, runDurableObjectAlarm } from 'cloudflare:test'
import type { Decision, Execution, Problem } from '../../shared/wire.ts'
import { createApp } from '../app.ts'
import { config } from '../config.ts'
import type { Env } from '../env.ts'

const bindings = env as unknown as Env
const app = createApp(config, 'network')

/** An answer with its body parsed. */
export interface Answer {
  status: number
  headers: Headers
  body: Problem & { decision: Decision; execution: Execution & { id: string } } & Record<string, unknown>
}

/** Sends a request to the application. An object is sent as JSON, anything else as it is. */
export async function request(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const response = await app.fetch(
    new Request(`http://coordinator.test${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(text === undefined ? {} : { body: text }),
    }),
    bindings,
    createExecutionContext(),
  )
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

/** Lets nodes beat that serve everything the test config needs, and the ledger import what runs. */
export async function beatAll(nodes: readonly string[] = ['web-1', 'web-2']): Promise<void> {
  await request('GET', '/readyz')
  const types = Object.keys(config.workflows).map((name) =>
    name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
  )
  for (const node of nodes) {
    await request('PUT', `/v1/nodes/${node}`, {
      datacenter: 'dc1',
      types: ['database', 'web'],
      queues: [
        { name: 'dc1', workflow_types: types, activity_types: ['runCommand'] },
        { name: `dc1:node:${node}`, activity_types: ['runCommand'] },
        { name: 'dc1:type:database', workflow_types: types, activity_types: ['runCommand'] },
        { name: 'dc1:type:web', activity_types: ['runCommand'] },
      ],
    })
  }
}

/** The ledger of dc1. */
export function ledger(): ReturnType<Env['LEDGER']['getByName']> {
  return bindings.LEDGER.getByName('dc1')
}

/** Runs the ledger's alarm as if its time had come for everything. */
export async function alarm(): Promise<void> {
  await runDurableObjectAlarm(ledger())
}
