/** Signals: what detectors observed, and how effective remediation was. */
import { type ExecutionStatus, signalReportSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { namedFilters } from '../http/paging.ts'
import { type Ledgers, orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'

export const signalRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/signals',
    handler: listSignals,
    summary: 'How effective remediation was for each signal over the last 1, 7 and 30 days, newest signal first',
    query: ['source', 'name', 'workflow'],
    answers: { 200: 'SignalList' },
    problems: ['bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/signals',
    handler: reportSignals,
    body: signalReportSchema,
    summary: 'A detector reports its episodes',
    answers: { 204: null },
    problems: ['unsupported_media_type', 'bad_request'],
  },
]

/** `POST /v1/signals`: a detector reports its episodes. */
async function reportSignals(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { value } = parseBody(signalReportSchema, context.req.raw, context.var.body)
  await orUnavailable(async () => ledgers.signals().record(value.episodes))
  return context.body(null, 204)
}

/** `GET /v1/signals`: the effectiveness of each signal over the last 1, 7 and 30 days. */
async function listSignals(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const filters = namedFilters(context.req.url, ['source', 'name', 'workflow'])
  const items = await orUnavailable(async () => {
    await resolveOutcomes(ledgers)
    return ledgers.signals().summaries(filters)
  })
  return context.json({ items, next_cursor: null })
}

/** Asks the ledgers for the status of executions whose outcome the signals' store does not know yet. */
async function resolveOutcomes(ledgers: Ledgers): Promise<void> {
  const ids = await ledgers.signals().unresolved()
  if (ids.length === 0) return
  const found = await ledgers.every(
    async (datacenter) => (await ledgers.of(datacenter).statuses(ids)) as Record<string, ExecutionStatus>,
  )
  await ledgers.signals().resolve(ids, Object.fromEntries(found.flatMap((known) => Object.entries(known))))
}
