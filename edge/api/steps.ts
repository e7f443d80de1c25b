/** How an execution goes on. */
import { isExecutionId } from '../../shared/execution-id.ts'
import type { Execution, Step } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { isPathSafe, TemporalClient } from '../temporal/client.ts'
import { temporalPort } from '../temporal/port.ts'
import { historyPage, StepReader } from '../temporal/steps.ts'

/** Pages of a history that are read at most. */
const MAX_PAGES = 10
/** After this time, in milliseconds, no further page is asked for. */
const READ_TIMEOUT_MS = 8000

/** `GET /v1/executions/{id}/steps`: the execution, and what it has done so far; `steps` is null when Temporal doesn't say. */
export async function showSteps(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const id = context.req.param('id') ?? ''
  const ask = async (datacenter: string): Promise<Execution | null> => ledgers.of(datacenter).execution(id)
  const execution = await ledgers.find(isExecutionId(id), 'execution', ask)
  const steps = execution.started_at === null ? [] : await readSteps(context, execution)
  return context.json({ execution, steps })
}

async function readSteps(
  { env, var: { config } }: AppContext,
  { workflow_id, run_id }: Execution,
): Promise<Step[] | null> {
  if (!isPathSafe(workflow_id)) return null
  const { port, httpUrl } = temporalPort(env)
  const client = new TemporalClient(port, httpUrl, config.coordinator.temporal.namespace, 'resile-coordinator')
  const described = client.describe(workflow_id)
  const reader = new StepReader()
  const deadline = Date.now() + READ_TIMEOUT_MS
  let token = ''
  for (let page = 0; page < MAX_PAGES && Date.now() < deadline; page += 1) {
    const read = historyPage(await client.history(workflow_id, run_id, token))
    if (read === null) return null
    reader.add(read.events)
    token = read.nextPageToken
    if (token === '') break
  }
  return reader.steps(await described)
}
