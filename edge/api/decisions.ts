/** Reading decisions. */
import type { Config } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import { type Decision, OUTCOMES } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { listQuery, oneOf, timeOf } from '../http/paging.ts'
import type { LedgerPage } from '../ledger/types.ts'
import { everyDatacenter, findOrRefuse, ledgerOf, mergePages, orUnavailable } from '../ledgers.ts'

/** `GET /v1/decisions` */
export async function listDecisions(context: AppContext, config: Config): Promise<Response> {
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
    everyDatacenter(
      config,
      async (datacenter): Promise<LedgerPage<Decision>> => ledgerOf(context.env, datacenter).decisions(query),
    ),
  )
  return context.json(mergePages(lists, limit))
}

/** `GET /v1/decisions/{id}` */
export async function showDecision(context: AppContext, config: Config): Promise<Response> {
  const id = context.req.param('id') ?? ''
  const ask = async (datacenter: string): Promise<Decision | null> => ledgerOf(context.env, datacenter).decision(id)
  return context.json(await findOrRefuse(config, isExecutionId(id), 'decision', ask))
}
