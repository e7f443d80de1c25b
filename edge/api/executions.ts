/** Executions: lists, details, and what operators do with them. */
import { isExecutionId } from '../../shared/execution-id.ts'
import { approvalSchema, cancelSchema, EXECUTION_STATUSES, type Execution, settleSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { preferredWait } from '../http/headers.ts'
import { listQuery, oneOf } from '../http/paging.ts'
import { ProblemError } from '../http/problem.ts'
import type { LedgerPage } from '../ledger/types.ts'
import { mergePages, orUnavailable } from '../ledgers.ts'
import { DENIED, type Route, UNDECIDED } from '../route.ts'
import { approve, changeExecution, reject } from '../trigger/approval.ts'
import { admissionResponse } from '../trigger/response.ts'
import { showSteps } from './steps.ts'

export const executionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/executions',
    handler: listExecutions,
    summary: 'Executions, newest first',
    query: ['limit', 'cursor', 'workflow', 'node', 'datacenter', 'status'],
    answers: { 200: 'ExecutionList' },
    problems: ['bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/executions/:id',
    handler: showExecution,
    summary: 'One execution',
    answers: { 200: 'Execution' },
    problems: ['not_found'],
  },
  {
    method: 'GET',
    path: '/v1/executions/:id/steps',
    handler: showSteps,
    summary: 'One execution and what it has done so far',
    answers: { 200: 'Steps' },
    problems: ['not_found'],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/cancel',
    handler: cancelExecution,
    body: cancelSchema,
    summary: 'Cancel an execution; a pending one never starts',
    answers: { 202: 'Execution' },
    problems: ['not_found', 'already_closed', 'unsupported_media_type', 'bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/approve',
    handler: approveExecution,
    body: approvalSchema,
    summary: 'Admit an execution that awaits approval, if its constraints allow it now',
    answers: { 201: 'Admission', 202: 'Admission' },
    problems: [
      'not_found',
      'not_awaiting_approval',
      'unknown_workflow',
      'unsupported_media_type',
      'bad_request',
      ...DENIED,
      ...UNDECIDED,
    ],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/reject',
    handler: rejectExecution,
    body: approvalSchema,
    summary: 'Reject an execution that awaits approval: it never starts',
    answers: { 200: 'Execution' },
    problems: ['not_found', 'not_awaiting_approval', 'unsupported_media_type', 'bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/settle',
    handler: settleExecution,
    body: settleSchema,
    summary: 'Settle an execution that Temporal no longer knows: state how it ended',
    answers: { 200: 'Execution' },
    problems: ['not_found', 'not_lost', 'unsupported_media_type', 'bad_request'],
  },
]

async function listExecutions(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { limit, before, filters } = listQuery(context.req.url, ['workflow', 'node', 'datacenter', 'status'])
  oneOf('status', filters.status, EXECUTION_STATUSES)
  const { datacenter: only, ...rest } = filters
  const lists = await orUnavailable(() =>
    ledgers.every(async (datacenter): Promise<LedgerPage<Execution>> => {
      if (only !== undefined && only !== datacenter) return { entries: [], more: false }
      return ledgers.of(datacenter).executions({
        limit,
        ...(before === undefined ? {} : { before }),
        ...rest,
      })
    }),
  )
  return context.json(mergePages(lists, limit))
}

async function showExecution(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const id = context.req.param('id') ?? ''
  const ask = async (datacenter: string): Promise<Execution | null> => ledgers.of(datacenter).execution(id)
  return context.json(await ledgers.find(isExecutionId(id), 'execution', ask))
}

async function cancelExecution(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { value } = parseBody(cancelSchema, context.req.raw, context.var.body)
  const reason = value.reason ?? `canceled by ${context.var.caller}`
  const change = await changeExecution(ledgers, context.req.param('id') ?? '', (ledger, id) =>
    ledger.cancel(id, context.var.caller, reason),
  )
  if (change.kind === 'changed') return context.json(change.execution, 202)
  throw new ProblemError('already_closed', `the execution has ended: ${change.execution.status}`)
}

async function rejectExecution(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { value } = parseBody(approvalSchema, context.req.raw, context.var.body)
  const by = { caller: context.var.caller, reason: value.reason ?? null }
  return context.json(await reject(ledgers, context.req.param('id') ?? '', by))
}

async function settleExecution(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { value } = parseBody(settleSchema, context.req.raw, context.var.body)
  const by = { caller: context.var.caller, reason: value.reason }
  const change = await changeExecution(ledgers, context.req.param('id') ?? '', (ledger, id) =>
    ledger.settle(id, value.status, by),
  )
  if (change.kind === 'changed') return context.json(change.execution)
  throw new ProblemError('not_lost', `only a lost execution can be settled, not one that is ${change.execution.status}`)
}

async function approveExecution(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const { value } = parseBody(approvalSchema, context.req.raw, context.var.body)
  const by = { caller: context.var.caller, reason: value.reason ?? null }
  const id = context.req.param('id') ?? ''
  return admissionResponse(await approve(ledgers, config, id, by, preferredWait(context.req.raw.headers)))
}
