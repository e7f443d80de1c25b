/** Starting a workflow, and asking whether it may be started. */
import { evaluateSchema, startSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { idempotencyKey, preferredWait, traceparent } from '../http/headers.ts'
import { ProblemError } from '../http/problem.ts'
import type { Evaluation } from '../ledger/types.ts'
import { orUnavailable } from '../ledgers.ts'
import { DENIED, MALFORMED, type Route, UNDECIDED } from '../route.ts'
import { start, undecided } from '../trigger/pipeline.ts'
import { resolveTrigger } from '../trigger/resolve.ts'
import { admissionResponse, inputOf } from '../trigger/response.ts'
import { findWorkflow } from '../trigger/workflow.ts'

export const startRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/executions',
    handler: startExecution,
    body: startSchema,
    summary: 'Start a workflow, if its constraints allow it now',
    answers: { 200: 'Admission', 201: 'Admission', 202: 'Admission' },
    problems: [...MALFORMED, 'idempotency_conflict', ...DENIED, ...UNDECIDED],
  },
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/evaluate',
    handler: evaluateTrigger,
    body: evaluateSchema,
    summary: 'What the answer to a start would be; changes nothing',
    answers: { 200: 'Evaluation' },
    problems: [...MALFORMED, ...UNDECIDED],
  },
]

async function startExecution(context: AppContext): Promise<Response> {
  const { config, ledgers, caller, body } = context.var
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value, json } = parseBody(startSchema, context.req.raw, body)
  const { headers } = context.req.raw
  const key = idempotencyKey(headers)
  const admitted = await start(ledgers, config, {
    ...value,
    workflow,
    caller,
    input: inputOf(json),
    pointer: '',
    idempotency: key === null ? null : { key, content: json },
    wait: preferredWait(headers),
    traceparent: traceparent(headers),
  })
  return admissionResponse(admitted)
}

async function evaluateTrigger(context: AppContext): Promise<Response> {
  const { config, ledgers, caller, body } = context.var
  const workflow = findWorkflow(config, context.req.param('workflow') ?? '')
  const { value, json } = parseBody(evaluateSchema, context.req.raw, body)
  const at = value.at === undefined ? Date.now() : Date.parse(value.at)
  // A second's grace: the caller's clock may be a little behind.
  if (at < Date.now() - 1000) {
    throw new ProblemError('bad_request', 'at is in the past', {
      errors: [{ path: '/at', message: 'is in the past' }],
    })
  }
  const trigger = await resolveTrigger(ledgers, config, {
    ...value,
    workflow,
    caller,
    input: inputOf(json),
    pointer: '',
    idempotency: null,
    wait: 0,
    traceparent: null,
  })
  const evaluation = await orUnavailable(
    async (): Promise<Evaluation> => ledgers.of(trigger.datacenter).evaluate(trigger, Math.max(at, Date.now())),
  )
  if (evaluation.kind === 'undecided') throw undecided(evaluation)
  return context.json({ decision: evaluation.decision })
}
