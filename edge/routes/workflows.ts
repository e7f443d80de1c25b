/** Reading workflows: their config, and each constraint with its present use. */
import type { Config, Constraint } from '../../shared/config.ts'
import { decide, type Judgement } from '../../shared/constraints.ts'
import { formatDuration } from '../../shared/duration.ts'
import type { Env } from '../env.ts'
import { allWorkflows, findWorkflow, type Workflow } from '../find-workflow.ts'
import type { AppContext } from '../http/context.ts'
import { everyDatacenter, ledgerOf, orUnavailable } from '../ledgers.ts'
import { namedPage } from './query.ts'

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

async function describe(env: Env, config: Config, workflow: Workflow): Promise<object> {
  const perDatacenter = await everyDatacenter(config, (datacenter) =>
    Promise.all(workflow.constraint.map((constraint) => usesOf(env, workflow.name, datacenter, constraint))),
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
    constraints: perDatacenter.flat(2),
  }
}

/** A constraint's use: one line, or for `per = "node"` one for each node with any, and one without a key when there is none. */
async function usesOf(env: Env, workflow: string, datacenter: string, constraint: Constraint): Promise<object[]> {
  const judgements = await orUnavailable(
    async (): Promise<Judgement[]> => ledgerOf(env, datacenter).uses(workflow, datacenter, constraint),
  )
  const { value, period, is_global, per } = constraint
  const settings = { value, is_global, per: per ?? null }
  const unused = {
    kind: constraint.kind,
    scope: 'node',
    key: null,
    limit: value,
    period: period === undefined ? null : formatDuration(period),
    used: 0,
    allowed: value > 0,
    allowed_at: null,
  }
  const lines = decide(judgements, Date.now()).receipts.map(({ binding: _, ...line }) => line)
  return (lines.length === 0 ? [unused] : lines).map((line) => ({ ...line, ...settings }))
}
