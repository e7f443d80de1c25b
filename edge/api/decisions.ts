/** Decisions and their receipts. */
import { isExecutionId } from '../../shared/execution-id.ts'
import { type Decision, OUTCOMES } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { listQuery, oneOf, timeOf } from '../http/paging.ts'
import type { LedgerPage } from '../ledger/types.ts'
import { mergePages, orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'

export const decisionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/decisions',
    handler: listDecisions,
    summary: 'Decisions, newest first',
    query: ['limit', 'cursor', 'workflow', 'node', 'outcome', 'code', 'caller', 'since'],
    answers: { 200: 'DecisionList' },
    problems: ['bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/decisions/:id',
    handler: showDecision,
    summary: 'One decision with its receipt',
    answers: { 200: 'Decision' },
    problems: ['not_found'],
  },
]

async function listDecisions(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { limit, before, filters } = listQuery(context.req.url, [
    'workflow',
    'node',
    'outcome',
    'code',
    'caller',
    'since',
  ])
  oneOf('outcome', filters.outcome, OUTCOMES)
  const { since: sinceText, ...rest } = filters
  const since = timeOf('since', sinceText)
  const query = {
    ...rest,
    limit,
    ...(before === undefined ? {} : { before }),
    ...(since === undefined ? {} : { since }),
  }
  const lists = await orUnavailable(() =>
    ledgers.every(async (datacenter): Promise<LedgerPage<Decision>> => ledgers.of(datacenter).decisions(query)),
  )
  return context.json(mergePages(lists, limit))
}

async function showDecision(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const id = context.req.param('id') ?? ''
  const ask = async (datacenter: string): Promise<Decision | null> => ledgers.of(datacenter).decision(id)
  return context.json(await ledgers.find(isExecutionId(id), 'decision', ask))
}
