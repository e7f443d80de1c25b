/** Reading workflows: their config, and each constraint with its present use. */
import { type Config, datacentersOf } from '../../shared/config.ts'
import type { ConstraintReceipt, Judgement } from '../../shared/constraints.ts'
import { decide } from '../../shared/constraints.ts'
import { formatDuration } from '../../shared/duration.ts'
import type { Env } from '../env.ts'
import { allWorkflows, findWorkflow, type Workflow } from '../find-workflow.ts'
import type { AppContext } from '../http/context.ts'
import { ledgerOf, orUnavailable } from '../ledgers.ts'

/** `GET /v1/workflows` */
export async function listWorkflows(context: AppContext, config: Config): Promise<Response> {
  const items = await Promise.all(allWorkflows(config).map((workflow) => describe(context.env, config, workflow)))
  return context.json({ items, next_cursor: null })
}

/** `GET /v1/workflows/{workflow}` */
export async function showWorkflow(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  return context.json(await describe(context.env, config, workflow))
}

async function describe(env: Env, config: Config, workflow: Workflow): Promise<object> {
  const perDatacenter = await orUnavailable(() =>
    Promise.all(
      datacentersOf(config.coordinator).map(
        async (datacenter): Promise<Judgement[]> =>
          ledgerOf(env, datacenter).uses(workflow.name, datacenter, workflow.constraint),
      ),
    ),
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
    constraints: perDatacenter.flatMap(withUse),
  }
}

function withUse(judgements: Judgement[]): Omit<ConstraintReceipt, 'binding'>[] {
  return decide(judgements, Date.now()).receipts.map(({ binding: _, ...receipt }) => receipt)
}
