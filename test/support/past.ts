/** What someone does to executions without the coordinator, over Temporal's HTTP API. */
import { randomUUID } from 'node:crypto'
import { Connection } from '@temporalio/client'
import type { Dev } from './dev.ts'

async function post(dev: Dev, path: string, body: unknown): Promise<void> {
  const answer = await fetch(`${dev.at('temporal_http')}/api/v1/namespaces/${dev.at('namespace')}/workflows/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  if (!answer.ok) throw new Error(`Temporal: ${answer.status} ${await answer.text()}`)
}

/** Starts a type on a queue. */
export async function startPast(dev: Dev, workflowId: string, type: string, queue: string, input: unknown) {
  const body = { workflowType: { name: type }, taskQueue: { name: queue }, input: [input], requestId: randomUUID() }
  await post(dev, workflowId, body)
}

export async function cancelPast(dev: Dev, workflowId: string) {
  await post(dev, `${workflowId}/cancel`, {})
}

/** Resets an execution to its first workflow task. */
export async function resetPast(dev: Dev, workflowId: string) {
  const first = { workflowTaskFinishEventId: '4', reason: 'again', requestId: randomUUID() }
  await post(dev, `${workflowId}/reset`, first)
}

/** Removes all that Temporal knows of an execution. */
export async function deletePast(dev: Dev, workflowId: string) {
  const connection = await Connection.connect({ address: dev.at('temporal') })
  try {
    const named = { namespace: dev.at('namespace'), workflowExecution: { workflowId } }
    await connection.workflowService.deleteWorkflowExecution(named)
  } finally {
    await connection.close()
  }
}
