/** What detectors saw, and what it was worth. */
import type { Config } from '../../shared/config.ts'
import { type ExecutionStatus, signalReportSchema } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import { parseBody } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { isExecutionId } from '../ledger/ids.ts'
import { everyDatacenter, ledgerOf, orUnavailable, signalsOf } from '../ledgers.ts'
import { analyse, type Episode } from '../signals/analysis.ts'
import { namedFilters } from './query.ts'

/** `POST /v1/signals`: a detector tells of its episodes. */
export async function reportSignals(context: AppContext): Promise<Response> {
  const { value } = parseBody(signalReportSchema, context.req.raw, context.var.body)
  await orUnavailable(async () => signalsOf(context.env).record(value.episodes))
  return context.body(null, 204)
}

/** `GET /v1/signals`: what each signal was worth over the last 1, 7 and 30 days. */
export async function listSignals(context: AppContext, config: Config): Promise<Response> {
  const { source, name, workflow } = namedFilters(context.req.url, ['source', 'name', 'workflow'])
  const episodes = await orUnavailable(() => readEpisodes(context.env, config))
  const wanted = episodes.filter(
    (episode) =>
      (source === undefined || episode.source === source) &&
      (name === undefined || episode.name === name) &&
      (workflow === undefined || episode.workflow === workflow),
  )
  return context.json({ items: analyse(wanted, Date.now()), next_cursor: null })
}

async function readEpisodes(env: Env, config: Config): Promise<Episode[]> {
  const signals = signalsOf(env)
  const { episodes, executions } = await signals.episodes()
  const ids = executions.filter(isExecutionId)
  if (ids.length === 0) return episodes
  const found = await everyDatacenter(
    config,
    async (datacenter) => (await ledgerOf(env, datacenter).statuses(ids)) as Record<string, ExecutionStatus>,
  )
  const statuses = Object.fromEntries(found.flatMap((known) => Object.entries(known)))
  await signals.settle(statuses)
  return (await signals.episodes()).episodes
}
