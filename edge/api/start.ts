/** Starting a workflow, and asking whether it may be started. */
import type { Config } from '../../shared/config.ts'
import { evaluateSchema, startSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { idempotencyKey, preferredWait, traceparent } from '../http/headers.ts'
import { ProblemError } from '../http/problem.ts'
import type { Evaluation } from '../ledger/types.ts'
import { ledgerOf, orUnavailable } from '../ledgers.ts'
import { validateInput } from '../trigger/input.ts'
import { type Admitted, start, undecided } from '../trigger/pipeline.ts'
import { buildTrigger } from '../trigger/resolve.ts'
import { routeTarget } from '../trigger/target.ts'
import { findWorkflow } from '../trigger/workflow.ts'

/** `POST /v1/workflows/{workflow}/executions` */
export async function startExecution(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value: body, json } = parseBody(startSchema, context.req.raw, context.var.body)
  const { headers } = context.req.raw
  const key = idempotencyKey(headers)
  const admitted = await start(context.env, config, {
    workflow,
    caller: context.var.caller,
    body,
    input: inputOf(json),
    place: '',
    idempotency: key === null ? null : { key, content: json },
    wait: preferredWait(headers),
    traceparent: traceparent(headers),
  })
  return admissionAnswer(admitted)
}

/** The answer to a trigger that was admitted. */
export function admissionAnswer({ decision, execution, isReplayed }: Admitted): Response {
  return new Response(JSON.stringify({ decision, execution }), {
    status: isReplayed ? 200 : execution.started_at === null ? 202 : 201,
    headers: {
      'content-type': 'application/json',
      location: `/v1/executions/${execution.id}`,
      ...(isReplayed ? { 'idempotent-replayed': 'true' } : {}),
    },
  })
}

/** `POST /v1/workflows/{workflow}/evaluate` */
export async function evaluateTrigger(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value: body, json } = parseBody(evaluateSchema, context.req.raw, context.var.body)
  const at = body.at === undefined ? Date.now() : Date.parse(body.at)
  // A second's grace: the caller's clock may be a little behind ours.
  if (at < Date.now() - 1000) {
    throw new ProblemError('bad_request', 'at lies in the past', {
      errors: [{ path: '/at', message: 'lies in the past' }],
    })
  }
  const routed = routeTarget(config, workflow, body.target)
  validateInput(workflow.input, inputOf(json))
  const told = { caller: context.var.caller, reason: body.reason ?? null, trigger: body.trigger ?? null }
  const { trigger } = await buildTrigger(context.env, config, workflow, routed, told, null)
  const evaluation = await orUnavailable(
    async (): Promise<Evaluation> =>
      ledgerOf(context.env, trigger.datacenter).evaluate(trigger, Math.max(at, Date.now())),
  )
  if (evaluation.kind === 'undecided') throw undecided(evaluation)
  return context.json({ decision: evaluation.decision })
}

/** The input of a checked body, as it came: the schema's copy leaves a key out that is called `__proto__`. */
export function inputOf(json: unknown): Record<string, unknown> {
  return (json as { input?: Record<string, unknown> }).input ?? {}
}
