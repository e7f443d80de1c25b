/** What detectors saw, and what it was worth. */
import type { Config } from '../../shared/config.ts'
import { type ExecutionStatus, signalReportSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import type { Env } from '../env.ts'
import { parseBody } from '../http/body.ts'
import { namedFilters } from '../http/paging.ts'
import { everyDatacenter, ledgerOf, orUnavailable, signalsOf } from '../ledgers.ts'

/** `POST /v1/signals`: a detector tells of its episodes. */
export async function reportSignals(context: AppContext): Promise<Response> {
  const { value } = parseBody(signalReportSchema, context.req.raw, context.var.body)
  await orUnavailable(async () => signalsOf(context.env).record(value.episodes))
  return context.body(null, 204)
}

/** `GET /v1/signals`: what each signal was worth over the last 1, 7 and 30 days. */
export async function listSignals(context: AppContext, config: Config): Promise<Response> {
  const filters = namedFilters(context.req.url, ['source', 'name', 'workflow'])
  const items = await orUnavailable(async () => {
    await settleExecutions(context.env, config)
    return signalsOf(context.env).summaries(filters)
  })
  return context.json({ items, next_cursor: null })
}

/** Asks the ledgers how executions stand of which that is not known. */
async function settleExecutions(env: Env, config: Config): Promise<void> {
  const ids = await signalsOf(env).unsettled()
  if (ids.length === 0) return
  const found = await everyDatacenter(
    config,
    async (datacenter) => (await ledgerOf(env, datacenter).statuses(ids)) as Record<string, ExecutionStatus>,
  )
  await signalsOf(env).settle(ids, Object.fromEntries(found.flatMap((known) => Object.entries(known))))
}
