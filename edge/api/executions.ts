/** Reading executions, and a human's word on them. */
import type { Config } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import { approvalSchema, cancelSchema, EXECUTION_STATUSES, type Execution, settleSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { preferredWait } from '../http/headers.ts'
import { listQuery, oneOf } from '../http/paging.ts'
import { ProblemError } from '../http/problem.ts'
import type { LedgerPage } from '../ledger/types.ts'
import { everyDatacenter, findOrRefuse, ledgerOf, mergePages, orUnavailable } from '../ledgers.ts'
import { approve, changeWhereItIs, reject } from '../trigger/approval.ts'
import { admissionAnswer } from './start.ts'

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
  const change = await changeWhereItIs(context.env, config, context.req.param('id') ?? '', (ledger, id) =>
    ledger.cancel(id, reason),
  )
  if (change.kind === 'changed') return context.json(change.execution, 202)
  throw new ProblemError('already_closed', `the execution has ended: ${change.execution.status}`)
}

/** `POST /v1/executions/{id}/reject` */
export async function rejectExecution(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(approvalSchema, context.req.raw, context.var.body)
  const approval = { caller: context.var.caller, reason: value.reason ?? null }
  return context.json(await reject(context.env, config, context.req.param('id') ?? '', approval))
}

/** `POST /v1/executions/{id}/settle` */
export async function settleExecution(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(settleSchema, context.req.raw, context.var.body)
  const approval = { caller: context.var.caller, reason: value.reason }
  const change = await changeWhereItIs(context.env, config, context.req.param('id') ?? '', (ledger, id) =>
    ledger.settle(id, value.status, approval),
  )
  if (change.kind === 'changed') return context.json(change.execution)
  throw new ProblemError(
    'not_lost',
    `only an execution that Temporal no longer knows is settled: ${change.execution.status}`,
  )
}

/** `POST /v1/executions/{id}/approve` */
export async function approveExecution(context: AppContext, config: Config): Promise<Response> {
  const { env, var: state, req } = context
  const { value } = parseBody(approvalSchema, req.raw, state.body)
  const approval = { caller: state.caller, reason: value.reason ?? null }
  const id = req.param('id') ?? ''
  return admissionAnswer(await approve(env, config, id, approval, preferredWait(req.raw.headers)))
}
