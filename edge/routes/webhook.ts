/** The door for signed messages (Standard Webhooks): each is a trigger. */
import type { Config } from '../../shared/config.ts'
import { type StartBody, webhookEnvelopeSchema, webhookSchema } from '../../shared/wire.ts'
import { authorise } from '../access/authorise.ts'
import { findWorkflow } from '../find-workflow.ts'
import { checkJson, readJson } from '../http/body.ts'
import type { AppContext } from '../http/context.ts'
import { preferredWait, traceparent } from '../http/headers.ts'
import { ProblemError } from '../http/problem.ts'
import { firstLedger, orUnavailable } from '../ledgers.ts'
import { start } from '../start.ts'
import { admissionAnswer, inputOf } from './start.ts'

/** `POST /v1/triggers/webhook/{name}` */
export async function receiveMessage(context: AppContext, config: Config): Promise<Response> {
  const name = context.req.param('name') ?? ''
  const { caller, sender } = context.var
  const webhook = Object.hasOwn(config.coordinator.webhook, name) ? config.coordinator.webhook[name] : undefined
  if (webhook === undefined) throw new ProblemError('not_found', 'there is no such webhook')
  if (sender === undefined || 'refused' in sender) {
    throw new ProblemError('unauthenticated', `the message can't be trusted: ${sender?.refused ?? 'it is not signed'}`)
  }
  const wanted = readMessage(context, webhook.workflow)
  const path = `/v1/workflows/${wanted.workflow}/executions`
  authorise(config, { caller, reason: null }, 'POST', path)
  const workflow = findWorkflow(config, wanted.workflow)
  const { id, timestamp } = sender.message
  // Before anything is started: while it can't be told whether the message was seen before, it does nothing.
  const known = await orUnavailable(async () => firstLedger(context.env, config).remember(name, id, timestamp))
  if (known === 'replayed') {
    throw new ProblemError(
      'replayed',
      'this very message was received before; a new attempt has a new webhook-timestamp',
    )
  }
  if (known === 'full') throw new ProblemError('ledger_unavailable', 'too many messages came in the last minutes')
  const { headers } = context.req.raw
  const { body, json, place } = wanted
  const admitted = await start(context.env, config, {
    workflow,
    caller,
    body: { ...body, trigger: body.trigger ?? { source: 'webhook', name } },
    input: inputOf(json),
    place,
    idempotency: { key: id, content: json },
    wait: preferredWait(headers),
    traceparent: traceparent(headers),
  })
  return admissionAnswer(admitted)
}

/** What a message wants: a start's body, bare or as `data` of an envelope, and the workflow. */
function readMessage(
  context: AppContext,
  configured: string | undefined,
): { workflow: string; body: StartBody; json: unknown; place: string } {
  const sent = readJson(context.req.raw, context.var.body)
  const isEnvelope = typeof sent === 'object' && sent !== null && Object.hasOwn(sent, 'data')
  const { workflow: named, ...body } = isEnvelope
    ? checkJson(webhookEnvelopeSchema, sent).data
    : checkJson(webhookSchema, sent)
  const place = isEnvelope ? '/data' : ''
  const refuse = (message: string): ProblemError =>
    new ProblemError('bad_request', 'the request body is not valid', {
      errors: [{ path: `${place}/workflow`, message }],
    })
  const workflow = configured ?? named
  if (workflow === undefined) throw refuse('is required: the webhook names no workflow')
  if (named !== undefined && named !== workflow) throw refuse(`the webhook starts ${workflow} and no other`)
  return { workflow, body, json: isEnvelope ? (sent as { data: unknown }).data : sent, place }
}
