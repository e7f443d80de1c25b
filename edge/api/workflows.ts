/** Workflows: their config, each constraint with its present use, and the reset of a tripped one. */
import { type Config, type Constraint, datacentersOf } from '../../shared/config.ts'
import { decide, type Judgement } from '../../shared/constraints.ts'
import { formatDuration } from '../../shared/duration.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { resetSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import type { Env } from '../env.ts'
import { parseBody } from '../http/body.ts'
import { namedPage } from '../http/paging.ts'
import { ProblemError } from '../http/problem.ts'
import { isCentral } from '../ledger/admission/admit.ts'
import type { GlobalAnswer } from '../ledger/types.ts'
import { everyDatacenter, globalLedgerOf, ledgerOf, orUnavailable, rosterOf } from '../ledgers.ts'
import { exclusiveWorkflows } from '../trigger/resolve.ts'
import { allWorkflows, findWorkflow, type Workflow } from '../trigger/workflow.ts'

/** `GET /v1/workflows` */
export async function listWorkflows(context: AppContext, config: Config): Promise<Response> {
  const { items, next_cursor } = namedPage(context.req.url, allWorkflows(config), (workflow) => workflow.name)
  const described = await Promise.all(items.map((workflow) => describe(context.env, config, workflow)))
  return context.json({ items: described, next_cursor })
}

/** `GET /v1/workflows/{workflow}` */
export async function showWorkflow(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  return context.json(await describe(context.env, config, workflow))
}

/** `POST /v1/workflows/{workflow}/reset`: clears what its `maxFailure` has counted. */
export async function resetWorkflow(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value } = parseBody(resetSchema, context.req.raw, context.var.body)
  const refuse = (path: string, message: string): ProblemError =>
    new ProblemError('bad_request', 'there is nothing to reset', { errors: [{ path, message }] })
  const limits = workflow.constraint.filter(({ kind }) => kind === 'maxFailure')
  if (limits.length === 0) throw refuse('', 'the workflow has no maxFailure')
  if (value.node !== undefined && !isName(value.node)) throw refuse('/node', `not a name: ${NAME_RULE}`)
  if (value.node !== undefined && !limits.some(({ per }) => per === 'node')) {
    throw refuse('/node', 'its maxFailure does not count each node for itself')
  }
  const approval = { caller: context.var.caller, reason: value.reason }
  await orUnavailable(() =>
    everyDatacenter(config, async (datacenter) =>
      ledgerOf(context.env, datacenter).reset(workflow.name, value.node ?? null, approval),
    ),
  )
  return context.json(await describe(context.env, config, workflow))
}

async function describe(env: Env, config: Config, workflow: Workflow): Promise<object> {
  const datacenters = datacentersOf(config.coordinator)
  const exclusive = exclusiveWorkflows(config)
  const local = workflow.constraint.filter((constraint) => !isCentral(constraint, datacenters))
  const perDatacenter = await everyDatacenter(config, (datacenter) =>
    Promise.all(local.map((constraint) => usesOf(env, workflow.name, datacenter, constraint, datacenters, exclusive))),
  )
  return {
    name: workflow.name,
    workflow_type: workflow.type,
    task_queue_target: workflow.task_queue_target,
    mode: workflow.mode,
    valid_for: formatDuration(workflow.valid_for),
    timeout: formatDuration(workflow.timeout),
    workflow_queue: workflow.workflow_queue,
    input: workflow.input ?? null,
    escalation: workflow.escalation ?? null,
    constraints: [...perDatacenter.flat(2), ...(await globalUsesOf(env, workflow, datacenters))],
  }
}

/** A constraint's use in a datacenter: one line, or one for each node or type with any; one without a key when there is none. */
async function usesOf(
  env: Env,
  workflow: string,
  datacenter: string,
  constraint: Constraint,
  datacenters: readonly string[],
  exclusive: readonly string[],
): Promise<object[]> {
  const judgements = await orUnavailable(async (): Promise<Judgement[]> => {
    const fleets = constraint.kind === 'maxUnavailable' ? await rosterOf(env, datacenter).fleets() : []
    return ledgerOf(env, datacenter).uses(workflow, constraint, { datacenter, datacenters, exclusive, fleets })
  })
  const unused = {
    kind: constraint.kind,
    scope: constraint.kind === 'maxUnavailable' ? 'node_type' : 'node',
    key: null,
    limit: constraint.value,
    period: constraint.period === undefined ? null : formatDuration(constraint.period),
    used: 0,
    allowed: constraint.value > 0,
    allowed_at: null,
  }
  const lines = linesOf(judgements)
  return (lines.length === 0 ? [unused] : lines).map((line) => ({ ...line, ...settingsOf(constraint) }))
}

/** The use of the constraints that are counted over all datacenters. */
async function globalUsesOf(env: Env, workflow: Workflow, datacenters: readonly string[]): Promise<object[]> {
  const constraints = workflow.constraint.filter((constraint) => isCentral(constraint, datacenters))
  if (constraints.length === 0) return []
  const now = Date.now()
  const answer = await orUnavailable(
    async (): Promise<GlobalAnswer> =>
      globalLedgerOf(env, workflow.name).judge({
        workflow: workflow.name,
        constraints,
        datacenters,
        at: now,
        clock: now,
      }),
  )
  if (answer.kind === 'unavailable') throw new ProblemError('ledger_unavailable', answer.detail)
  return linesOf(answer.judgements).map((line, index) => {
    const constraint = constraints[index]
    return constraint === undefined ? line : { ...line, ...settingsOf(constraint) }
  })
}

function linesOf(judgements: readonly Judgement[]): object[] {
  return decide(judgements, Date.now()).receipts.map(({ binding: _, ...line }) => line)
}

function settingsOf({ value, percent, is_global, per }: Constraint): object {
  return { value: percent === true ? `${value}%` : value, is_global, per: per ?? null }
}
