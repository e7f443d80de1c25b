/** A human's word on an execution, by whatever door it came. */
import { v7 as uuidv7 } from 'uuid'
import { type Config, datacentersOf } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import type { Execution } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../http/problem.ts'
import type { Approval, ApprovalResult, ChangeResult, Waiting } from '../ledger/types.ts'
import { findOrRefuse, ledgerOf, orUnavailable } from '../ledgers.ts'
import { type Admitted, admittedOrRefuse } from './pipeline.ts'
import { buildTrigger } from './resolve.ts'
import { routeTarget } from './target.ts'
import { findWorkflow } from './workflow.ts'

/**
 * Approves an execution: the full admission, made anew with what is configured and alive now.
 *
 * @param wait how long to wait for Temporal's confirmation, in milliseconds
 * @throws ProblemError when there is none that waits, or it is denied, after which it goes on waiting
 */
export async function approve(
  env: Env,
  config: Config,
  id: string,
  approval: Approval,
  wait: number,
): Promise<Admitted> {
  const ask = async (datacenter: string): Promise<Execution | null> => ledgerOf(env, datacenter).execution(id)
  const execution = await findOrRefuse(config, isExecutionId(id), 'execution', ask)
  const { datacenter } = execution
  const waiting = await orUnavailable(async (): Promise<Waiting | null> => ledgerOf(env, datacenter).waiting(id))
  if (waiting === null) throw notAwaiting(execution)
  const workflow = findWorkflow(config, waiting.trigger.workflow)
  const routed = routeTarget(config, workflow, waiting.trigger.target)
  const { trigger, workflowQueue } = await buildTrigger(env, config, workflow, routed, waiting.trigger, datacenter)
  const receiver = workflow.escalation?.receiver ?? null
  const order = { ...waiting.order, workflowQueue, workflowType: workflow.type, timeout: workflow.timeout, receiver }
  const submission = { id: uuidv7(), trigger, order, validFor: waiting.validFor, idempotency: null, wait }
  const result = await orUnavailable(
    async (): Promise<ApprovalResult> => ledgerOf(env, datacenter).approve(submission, id, approval),
    { id },
  )
  if (result.kind === 'unknown') throw new ProblemError('not_found', 'there is no such execution')
  if (result.kind === 'not_awaiting') throw notAwaiting(result.execution)
  return admittedOrRefuse(result)
}

/**
 * Rejects an execution: it never starts.
 *
 * @throws ProblemError when there is none that waits
 */
export async function reject(env: Env, config: Config, id: string, approval: Approval): Promise<Execution> {
  const change = await changeWhereItIs(env, config, id, (ledger) => ledger.reject(id, approval))
  if (change.kind === 'changed') return change.execution
  throw notAwaiting(change.execution)
}

/** Changes an execution in the ledger that has it. @throws ProblemError `not_found` when none has */
export async function changeWhereItIs(
  env: Env,
  config: Config,
  id: string,
  change: (ledger: ReturnType<typeof ledgerOf>, id: string) => Promise<unknown>,
): Promise<ChangeResult & { kind: 'changed' | 'refused' }> {
  for (const datacenter of isExecutionId(id) ? datacentersOf(config.coordinator) : []) {
    const result = (await orUnavailable(() => change(ledgerOf(env, datacenter), id))) as ChangeResult
    if (result.kind !== 'unknown') return result
  }
  throw new ProblemError('not_found', 'there is no such execution')
}

function notAwaiting({ status }: Execution): ProblemError {
  return new ProblemError('not_awaiting_approval', `the execution does not await approval: ${status}`)
}
