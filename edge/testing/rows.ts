import type { ExecutionRow } from '../ledger/store.ts'

/** An execution that was admitted just now. */
export function executionRow(id: string, workflow: string, node: string | null, now: number): ExecutionRow {
  return {
    id,
    workflowId: id,
    admitted: true,
    exclusive: false,
    limits: [],
    central: false,
    workflow,
    node,
    target: {},
    taskQueue: 'q',
    forward: {
      namespace: 'default',
      workflowType: 't',
      workflowQueue: 'q',
      input: {},
      timeout: 1,
      traceparent: null,
      datacenter: 'dc1',
      reason: null,
      trigger: null,
    },
    phase: 'starting',
    status: 'pending',
    admittedAt: now,
    validUntil: now + 1,
    overdueAt: null,
    attempts: 1,
    maybeSent: true,
    nextAt: now,
    runId: null,
    namespaceId: null,
    startedAt: null,
    closedAt: null,
    ending: null,
    cancel: null,
    result: null,
    error: null,
  }
}
