/** Workflows: their config, the usage of each constraint, and the reset of a tripped one. */
import type { Config } from '../../shared/config.ts'
import { decide, type Judgement } from '../../shared/constraints.ts'
import { formatDuration } from '../../shared/duration.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { resetSchema } from '../../shared/wire.ts'
import {
  allWorkflows,
  exclusiveWorkflows,
  type ResolvedConstraint,
  resolveConstraints,
  type Workflow,
} from '../../shared/workflows.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { namedPage } from '../http/paging.ts'
import { ProblemError } from '../http/problem.ts'
import type { GlobalAnswer } from '../ledger/types.ts'
import { type Ledgers, orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'
import { findWorkflow } from '../trigger/workflow.ts'

export const workflowRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/reset',
    handler: resetWorkflow,
    body: resetSchema,
    summary: 'Clear a tripped maxFailure',
    answers: { 200: null },
    problems: ['unknown_workflow', 'unsupported_media_type', 'bad_request', 'not_tripped'],
  },
  {
    method: 'GET',
    path: '/v1/workflows',
    handler: listWorkflows,
    summary: 'Workflows with the use of their constraints',
    query: ['limit', 'cursor'],
    answers: { 200: null },
  },
  {
    method: 'GET',
    path: '/v1/workflows/:workflow',
    handler: showWorkflow,
    summary: 'One workflow',
    answers: { 200: null },
    problems: ['unknown_workflow'],
  },
]

async function listWorkflows(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const { items, next_cursor } = namedPage(context.req.url, allWorkflows(config), (workflow) => workflow.name)
  const described = await Promise.all(items.map((workflow) => describe(ledgers, config, workflow)))
  return context.json({ items: described, next_cursor })
}

async function showWorkflow(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  return context.json(await describe(ledgers, config, workflow))
}

/** `POST /v1/workflows/{workflow}/reset`: clears what its `maxFailure` has counted. */
async function resetWorkflow(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value } = parseBody(resetSchema, context.req.raw, context.var.body)
  const refuse = (path: string, message: string): ProblemError =>
    new ProblemError('bad_request', 'there is nothing to reset', { errors: [{ path, message }] })
  const limits = workflow.constraint.filter(({ kind }) => kind === 'maxFailure')
  if (limits.length === 0) throw refuse('', 'the workflow has no maxFailure')
  if (value.node !== undefined && !isName(value.node)) throw refuse('/node', `not a name: ${NAME_RULE}`)
  if (value.node !== undefined && !limits.some(({ per }) => per === 'node')) {
    throw refuse('/node', 'its maxFailure does not count per node')
  }
  const by = { caller: context.var.caller, reason: value.reason }
  const node = value.node ?? null
  const clear = async (datacenter: string): Promise<boolean> => ledgers.of(datacenter).reset(workflow.name, node, by)
  const cleared = await orUnavailable(() => ledgers.every(clear))
  if (!cleared.includes(true)) {
    const where = node === null ? '' : ` on ${node}`
    throw new ProblemError(
      'not_tripped',
      `no failure of ${workflow.name}${where} is counted: there is nothing to reset`,
    )
  }
  return context.json(await describe(ledgers, config, workflow))
}

async function describe(ledgers: Ledgers, config: Config, workflow: Workflow): Promise<object> {
  const exclusive = exclusiveWorkflows(config)
  const constraints = resolveConstraints(config, workflow)
  const central = constraints.filter(({ isCentral }) => isCentral)
  const perDatacenter = await ledgers.every((datacenter) =>
    Promise.all(
      constraints
        .filter(({ isCentral }) => !isCentral)
        .map((constraint) => usagesOf(ledgers, workflow.name, datacenter, constraint, exclusive)),
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
    escalation: workflow.escalation ?? null,
    constraints: [...perDatacenter.flat(2), ...(await globalUsagesOf(ledgers, workflow.name, central))],
  }
}

/** A constraint's usage in a datacenter: a line per node or type that has any, else one line without a key. */
async function usagesOf(
  ledgers: Ledgers,
  workflow: string,
  datacenter: string,
  constraint: ResolvedConstraint,
  exclusive: readonly string[],
): Promise<object[]> {
  const judgements = await orUnavailable(async (): Promise<Judgement[]> => {
    const fleets = constraint.kind === 'maxUnavailable' ? await ledgers.roster(datacenter).fleets() : []
    return ledgers.of(datacenter).usages(workflow, constraint, { datacenter, exclusive, fleets })
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

/** The usage of the constraints that are counted over all datacenters. */
async function globalUsagesOf(
  ledgers: Ledgers,
  workflow: string,
  constraints: readonly ResolvedConstraint[],
): Promise<object[]> {
  if (constraints.length === 0) return []
  const now = Date.now()
  const answer = await orUnavailable(
    async (): Promise<GlobalAnswer> =>
      ledgers.global(workflow).judge({
        workflow,
        constraints,
        datacenters: ledgers.datacenters,
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

function settingsOf({ value, percent, is_global, per }: ResolvedConstraint): object {
  return { value: percent === true ? `${value}%` : value, is_global, per: per ?? null }
}
