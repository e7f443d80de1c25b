/** A trigger's way: find workflow → validate input → route → admit → forward → record. */

import { v7 as uuidv7 } from 'uuid'
import { type Config, datacentersOf } from '../../shared/config.ts'
import { evaluateSchema, type StartBody, startSchema } from '../../shared/wire.ts'
import { buildTrigger, type Told } from '../build-trigger.ts'
import { findWorkflow, type Workflow } from '../find-workflow.ts'
import { hashJson, parseBody } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { idempotencyKey, preferredWait, traceparent } from '../http/headers.ts'
import { checkAt, ProblemError } from '../http/problem.ts'
import type { Evaluation, SubmissionResult, Undecided } from '../ledger/types.ts'
import { anyDatacenter, ledgerOf, orUnavailable } from '../ledgers.ts'
import { routeTarget } from '../route.ts'
import { validateInput } from '../validate-input.ts'

/** `POST /v1/workflows/{workflow}/executions` */
export async function startExecution(context: AppContext, config: Config): Promise<Response> {
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value: body, json } = parseBody(startSchema, context.req.raw, context.var.body)
  return start(context, config, { workflow, body, json, place: '', key: idempotencyKey(context.req.raw.headers) })
}

/** What a caller wants to be started, by whatever door it came. */
export interface Start {
  workflow: Workflow
  /** The checked body. */
  body: StartBody
  /** The same as it came. */
  json: unknown
  /** JSON Pointer of where it stands in the request's body. */
  place: string
  /** What a resend is known by. */
  key: string | null
}

/**
 * Admits and starts a workflow.
 *
 * @throws ProblemError when its target or input don't fit, or it is not admitted
 */
export async function start(
  context: AppContext,
  config: Config,
  { workflow, body, json, place, key }: Start,
): Promise<Response> {
  const headers = context.req.raw.headers
  const wait = preferredWait(headers)
  const routed = checkAt(place, () => routeTarget(config, workflow, body.target))
  const input = checkAt(place, () => validateInput(workflow.input, inputOf(json)))
  const bound = key === null ? null : await boundDatacenter(context, config, workflow.name, key)
  const told = toldBy(context, body)
  const { trigger, workflowQueue } = await buildTrigger(context.env, config, workflow, routed, told, bound)
  const idempotency = key === null ? null : { key, bodyHash: await hashJson(json) }
  const id = uuidv7()
  const result = await orUnavailable(
    async (): Promise<SubmissionResult> =>
      ledgerOf(context.env, trigger.datacenter).submit({
        id,
        trigger,
        order: {
          namespace: config.coordinator.temporal.namespace,
          workflowType: workflow.type,
          workflowQueue,
          input,
          timeout: workflow.timeout,
          traceparent: traceparent(headers),
          receiver: workflow.escalation?.receiver ?? null,
        },
        validFor: Math.min(body.valid_for ?? workflow.valid_for, workflow.valid_for),
        idempotency,
        wait,
      }),
    { id },
  )
  return answer(result)
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
  const { trigger } = await buildTrigger(context.env, config, workflow, routed, toldBy(context, body), null)
  const evaluation = await orUnavailable(
    async (): Promise<Evaluation> =>
      ledgerOf(context.env, trigger.datacenter).evaluate(trigger, Math.max(at, Date.now())),
  )
  if (evaluation.kind === 'undecided') throw undecided(evaluation)
  return context.json({ decision: evaluation.decision })
}

/** The input of a checked body, as it came: the schema's copy leaves a key out that is called `__proto__`. */
function inputOf(json: unknown): Record<string, unknown> {
  return (json as { input?: Record<string, unknown> }).input ?? {}
}

function toldBy(context: AppContext, body: StartBody): Told {
  return { caller: context.var.caller, reason: body.reason ?? null, trigger: body.trigger ?? null }
}

/** The datacenter whose ledger knows an idempotency key: a resend goes there, even if its node has moved or died since. */
async function boundDatacenter(
  context: AppContext,
  config: Config,
  workflow: string,
  key: string,
): Promise<string | null> {
  if (datacentersOf(config.coordinator).length === 1) return null
  const bound = await orUnavailable(() =>
    anyDatacenter(config, async (datacenter) => {
      const known = await ledgerOf(context.env, datacenter).hasKey(workflow, context.var.caller, key)
      return known ? datacenter : null
    }),
  )
  return bound?.datacenter ?? null
}

/** The answer to a trigger. @throws ProblemError when it was not admitted */
export function answer(result: SubmissionResult): Response {
  switch (result.kind) {
    case 'conflict':
      throw new ProblemError('idempotency_conflict', 'this Idempotency-Key was used with another body')
    case 'undecided':
      throw undecided(result)
    case 'denied':
      throw denial(result)
    case 'replayed':
    case 'admitted': {
      const { decision, execution } = result
      if (result.kind === 'admitted' && execution.error?.type === 'StartRefused') {
        throw new ProblemError('internal', execution.error.message, { decision })
      }
      const status = result.kind === 'replayed' ? 200 : execution.started_at === null ? 202 : 201
      return new Response(JSON.stringify({ decision, execution }), {
        status,
        headers: {
          'content-type': 'application/json',
          location: `/v1/executions/${execution.id}`,
          ...(result.kind === 'replayed' ? { 'idempotent-replayed': 'true' } : {}),
        },
      })
    }
  }
}

function undecided({ code, detail, decision }: Undecided): ProblemError {
  return new ProblemError(code, detail, decision === null ? {} : { decision })
}

function denial({ decision, detail }: SubmissionResult & { kind: 'denied' }): ProblemError {
  if (decision.code === 'no_worker' || decision.code === 'workflow_not_registered') {
    return new ProblemError(decision.code, detail, { decision })
  }
  const wait = decision.allowed_at === null ? null : Math.ceil((Date.parse(decision.allowed_at) - Date.now()) / 1000)
  return new ProblemError(decision.code === 'frozen' ? 'frozen' : 'constraint_denied', detail, {
    decision,
    headers: wait === null ? {} : { 'retry-after': String(Math.max(wait, 0)) },
  })
}
