/** Reading executions, and a human's word on them. */
import { v7 as uuidv7 } from 'uuid'
import { type Config, datacentersOf } from '../../shared/config.ts'
import { approvalSchema, cancelSchema, EXECUTION_STATUSES, type Execution, settleSchema } from '../../shared/wire.ts'
import { buildTrigger } from '../build-trigger.ts'
import { findWorkflow } from '../find-workflow.ts'
import { parseBody } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { preferredWait } from '../http/headers.ts'
import { ProblemError } from '../http/problem.ts'
import { isExecutionId } from '../ledger/ids.ts'
import type { ApprovalResult, ChangeResult, LedgerPage, Waiting } from '../ledger/types.ts'
import { everyDatacenter, findOrRefuse, ledgerOf, mergePages, orUnavailable } from '../ledgers.ts'
import { routeTarget } from '../route.ts'
import { listQuery, oneOf } from './query.ts'
import { answer } from './start.ts'

/** `GET /v1/executions` */
export async function listExecutions(context: AppContext, config: Config): Promise<Response> {
  const { limit, before, filters } = listQuery(context.req.url, ['workflow', 'node', 'datacenter', 'status'])
  oneOf('status', filters.status, EXECUTION_STATUSES)
  const { datacenter: wanted, ...rest } = filters
  const lists = await orUnavailable(() =>
    everyDatacenter(config, async (datacenter): Promise<LedgerPage<Execution>> => {
      if (wanted !== undefined && wanted !== datacenter) return { entries: [], more: false }
      return ledgerOf(context.env, datacenter).executions({
        limit,
        ...(before === undefined ? {} : { before }),
        ...rest,
      })
    }),
  )
  return context.json(mergePages(lists, limit))
}

/** `GET /v1/executions/{id}` */
export async function showExecution(context: AppContext, config: Config): Promise<Response> {
  const id = context.req.param('id') ?? ''
  const ask = async (datacenter: string): Promise<Execution | null> => ledgerOf(context.env, datacenter).execution(id)
  return context.json(await findOrRefuse(config, isExecutionId(id), 'execution', ask))
}

/** `POST /v1/executions/{id}/cancel` */
export async function cancelExecution(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(cancelSchema, context.req.raw, context.var.body)
  const reason = value.reason ?? `canceled by ${context.var.caller}`
  const change = await changeWhereItIs(context, config, (ledger, id) => ledger.cancel(id, reason))
  if (change.kind === 'changed') return context.json(change.execution, 202)
  throw new ProblemError('already_closed', `the execution has ended: ${change.execution.status}`)
}

/** `POST /v1/executions/{id}/reject` */
export async function rejectExecution(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(approvalSchema, context.req.raw, context.var.body)
  const approval = { caller: context.var.caller, reason: value.reason ?? null }
  const change = await changeWhereItIs(context, config, (ledger, id) => ledger.reject(id, approval))
  if (change.kind === 'changed') return context.json(change.execution)
  throw notAwaiting(change.execution)
}

/** `POST /v1/executions/{id}/settle` */
export async function settleExecution(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(settleSchema, context.req.raw, context.var.body)
  const approval = { caller: context.var.caller, reason: value.reason }
  const change = await changeWhereItIs(context, config, (ledger, id) => ledger.settle(id, value.status, approval))
  if (change.kind === 'changed') return context.json(change.execution)
  throw new ProblemError(
    'not_lost',
    `only an execution that Temporal no longer knows is settled: ${change.execution.status}`,
  )
}

/** `POST /v1/executions/{id}/approve`: the full admission, made anew with what is configured and alive now. */
export async function approveExecution(context: AppContext, config: Config): Promise<Response> {
  const { env, var: state, req } = context
  const { value } = parseBody(approvalSchema, req.raw, state.body)
  const wait = preferredWait(req.raw.headers)
  const id = req.param('id') ?? ''
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
  const approval = { caller: state.caller, reason: value.reason ?? null }
  const result = await orUnavailable(
    async (): Promise<ApprovalResult> => ledgerOf(env, datacenter).approve(submission, id, approval),
    { id },
  )
  if (result.kind === 'unknown') throw new ProblemError('not_found', 'there is no such execution')
  if (result.kind === 'not_awaiting') throw notAwaiting(result.execution)
  return answer(result)
}

function notAwaiting({ status }: Execution): ProblemError {
  return new ProblemError('not_awaiting_approval', `the execution does not await approval: ${status}`)
}

/** Changes an execution in the ledger that has it. @throws ProblemError `not_found` when none has */
async function changeWhereItIs(
  context: AppContext,
  config: Config,
  change: (ledger: ReturnType<typeof ledgerOf>, id: string) => Promise<unknown>,
): Promise<ChangeResult & { kind: 'changed' | 'refused' }> {
  const id = context.req.param('id') ?? ''
  for (const datacenter of isExecutionId(id) ? datacentersOf(config.coordinator) : []) {
    const result = (await orUnavailable(() => change(ledgerOf(context.env, datacenter), id))) as ChangeResult
    if (result.kind !== 'unknown') return result
  }
  throw new ProblemError('not_found', 'there is no such execution')
}
