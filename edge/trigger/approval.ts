/** An operator's approval or rejection of an execution, whatever listener received it. */
import { v7 as uuidv7 } from 'uuid'
import type { Config } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import type { Execution } from '../../shared/wire.ts'
import { ProblemError } from '../http/problem.ts'
import type { Admitted, ApprovalResult, Attribution, ChangeResult, Trigger } from '../ledger/types.ts'
import { type Ledgers, orUnavailable } from '../ledgers.ts'
import { admittedOrRefuse } from './pipeline.ts'
import { resolveAgain } from './resolve.ts'

/**
 * Approves an execution: its trigger passes admission again, by what is configured and live now.
 *
 * @param wait how long to wait for Temporal's confirmation, in milliseconds
 * @throws ProblemError when no such execution awaits approval, or it is denied, after which it still awaits approval
 */
export async function approve(
  ledgers: Ledgers,
  config: Config,
  id: string,
  by: Attribution,
  wait: number,
): Promise<Admitted> {
  const execution = await ledgers.find(
    isExecutionId(id),
    'execution',
    async (datacenter): Promise<Execution | null> => ledgers.of(datacenter).execution(id),
  )
  const ledger = (): ReturnType<Ledgers['of']> => ledgers.of(execution.datacenter)
  const waiting = await orUnavailable(async (): Promise<Trigger | null> => ledger().waiting(id))
  if (waiting === null) throw notAwaiting(execution)
  const resolved = await resolveAgain(ledgers, config, waiting)
  const submission = { id: uuidv7(), trigger: resolved, idempotency: null, wait }
  const result = await orUnavailable(async (): Promise<ApprovalResult> => ledger().approve(submission, id, by), {
    id: submission.id,
  })
  if (result.kind === 'unknown') throw new ProblemError('not_found', 'there is no such execution')
  if (result.kind === 'not_awaiting') throw notAwaiting(result.execution)
  return admittedOrRefuse(result)
}

/**
 * Rejects an execution: it never starts.
 *
 * @throws ProblemError when no such execution awaits approval
 */
export async function reject(ledgers: Ledgers, id: string, by: Attribution): Promise<Execution> {
  const change = await changeExecution(ledgers, id, (ledger) => ledger.reject(id, by))
  if (change.kind === 'changed') return change.execution
  throw notAwaiting(change.execution)
}

/** Changes an execution in the ledger that has it. @throws ProblemError `not_found` when none has */
export async function changeExecution(
  ledgers: Ledgers,
  id: string,
  change: (ledger: ReturnType<Ledgers['of']>, id: string) => Promise<unknown>,
): Promise<ChangeResult & { kind: 'changed' | 'refused' }> {
  for (const datacenter of isExecutionId(id) ? ledgers.datacenters : []) {
    const result = (await orUnavailable(() => change(ledgers.of(datacenter), id))) as ChangeResult
    if (result.kind !== 'unknown') return result
  }
  throw new ProblemError('not_found', 'there is no such execution')
}

function notAwaiting({ status }: Execution): ProblemError {
  return new ProblemError('not_awaiting_approval', `the execution does not await approval: ${status}`)
}
