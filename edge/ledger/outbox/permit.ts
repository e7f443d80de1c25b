/** The permit of an admission, and what the memo of its execution says. */

import { encodePayloads } from '../../../shared/payload.ts'
import { digestPayloads, type Permit } from '../../../shared/permit.ts'
import type { Memo } from '../../permits/memo.ts'
import type { ExecutionRow } from '../store/execution-row.ts'

/**
 * The permit of an admitted execution: for its own workflow and input, where it is sent, until it has ended whatever
 * happens.
 *
 * @param args what the workflow is started with
 */
export async function permitOf(row: ExecutionRow, args: readonly unknown[]): Promise<Permit> {
  const { forward, target } = row
  const { datacenter } = forward
  return {
    sub: row.id,
    iat: row.admittedAt / 1000,
    begin_by: row.validUntil / 1000,
    exp: (row.validUntil + forward.timeout) / 1000,
    namespace: forward.namespace,
    workflow: row.workflow,
    workflow_type: forward.workflowType,
    task_queue: forward.workflowQueue,
    datacenter,
    target:
      target.node !== undefined
        ? { node: target.node }
        : target.node_type !== undefined
          ? { node_type: target.node_type }
          : { datacenter },
    input_sha256: await digestPayloads(encodePayloads(args).payloads ?? []),
  }
}

/** The memo of an admitted execution. */
export function memoOf({ id, workflow, target, forward }: ExecutionRow): Memo {
  const { namespace, workflowType, workflowQueue } = forward
  return { sub: id, namespace, workflow, workflow_type: workflowType, task_queue: workflowQueue, target }
}
