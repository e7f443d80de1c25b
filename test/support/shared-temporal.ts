/** The Temporal that the run's test files share; each uses separate namespaces. */
import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { Temporal } from './temporal.ts'

/** A namespace in a Temporal that a test must not stop. */
export interface TemporalNamespace {
  /** Of gRPC. */
  address: string
  httpUrl: string
  namespace: string
  api: Temporal
}

/** As long as that of `resile dev`'s own. */
const RETENTION = '2764800s'

/** Makes a namespace that nobody else uses. */
export async function newNamespace(): Promise<TemporalNamespace> {
  const { address, httpUrl } = inject('sharedTemporal')
  const namespace = `test-${randomUUID()}`
  const answer = await fetch(`${httpUrl}/api/v1/namespaces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ namespace, workflowExecutionRetentionPeriod: RETENTION }),
  })
  if (!answer.ok) throw new Error(`no namespace: ${answer.status} ${await answer.text()}`)
  return { address, httpUrl, namespace, api: new Temporal(httpUrl, namespace) }
}
