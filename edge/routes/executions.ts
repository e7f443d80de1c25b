/** Reading and cancelling executions. */
import { type Config, datacentersOf } from '../../shared/config.ts'
import { cancelSchema, EXECUTION_STATUSES, type Execution } from '../../shared/wire.ts'
import { parseBody } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { ProblemError } from '../http/problem.ts'
import type { CancelResult, LedgerPage } from '../ledger/types.ts'
import { everyDatacenter, findOrRefuse, ledgerOf, mergePages, orUnavailable } from '../ledgers.ts'
import { listQuery, oneOf, UUID_PATTERN } from './query.ts'

/** `GET /v1/executions` */
export async function listExecutions(context: AppContext, config: Config): Promise<Response> {
  const { limit, before, filters } = listQuery(context.req.url, ['workflow', 'node', 'datacenter', 'status'])
  oneOf('status', filters.status, EXECUTION_STATUSES)
  const { datacenter: wanted, ...rest } = filters
  const lists = await orUnavailable(() =>
    everyDatacenter(config, async (datacenter): Promise<LedgerPage<Execution>> => {
      if (wanted !== undefined && wanted !== datacenter) return { items: [], more: false }
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
  return context.json(await findOrRefuse(config, UUID_PATTERN.test(id), 'execution', ask))
}

/** `POST /v1/executions/{id}/cancel` */
export async function cancelExecution(context: AppContext, config: Config): Promise<Response> {
  const id = context.req.param('id') ?? ''
  const { value } = parseBody(cancelSchema, context.req.raw, context.var.body)
  const reason = value.reason ?? `canceled by ${context.var.caller}`
  for (const datacenter of UUID_PATTERN.test(id) ? datacentersOf(config.coordinator) : []) {
    const result = await orUnavailable(
      async (): Promise<CancelResult> => ledgerOf(context.env, datacenter).cancel(id, reason),
    )
    if (result.kind === 'canceling') return context.json(result.execution, 202)
    if (result.kind === 'already_closed') {
      throw new ProblemError('already_closed', `the execution has ended: ${result.execution.status}`)
    }
  }
  throw new ProblemError('not_found', 'there is no such execution')
}
