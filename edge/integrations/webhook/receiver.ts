/** The door for signed messages (Standard Webhooks): each is a trigger. */
import type { z } from 'zod'
import type { Config } from '../../../shared/config.ts'
import { type StartBody, type TriggerSource, webhookEnvelopeSchema, webhookSchema } from '../../../shared/wire.ts'
import { authorise } from '../../access/authorise.ts'
import { admissionAnswer, inputOf } from '../../api/start.ts'
import type { AppContext } from '../../context.ts'
import { checkJson, readJson } from '../../http/body.ts'
import { preferredWait, traceparent } from '../../http/headers.ts'
import { ProblemError } from '../../http/problem.ts'
import { start } from '../../trigger/pipeline.ts'
import { findWorkflow } from '../../trigger/workflow.ts'
import { refuseReplay, signedMessage } from '../signed-message.ts'

/** `POST /v1/triggers/webhook/{name}` */
export async function receiveMessage(context: AppContext, config: Config): Promise<Response> {
  const name = context.req.param('name') ?? ''
  const webhook = Object.hasOwn(config.coordinator.webhook, name) ? config.coordinator.webhook[name] : undefined
  if (webhook?.format !== 'standard') throw new ProblemError('not_found', 'there is no such webhook')
  const message = signedMessage(context)
  const wanted = readMessage(readJson(context.req.raw, context.var.body), webhook.workflow)
  return startByMessage(context, config, wanted, { source: 'webhook', name }, async () => {
    if (message !== null) await refuseReplay(context, config, name, message)
    return message?.id ?? null
  })
}

/** What a message wants. */
export interface WantedByMessage {
  workflow: string
  body: StartBody
  /** The same as it came. */
  json: unknown
  /** JSON Pointer of where it stands. */
  place: string
}

/**
 * Starts what a message wants.
 *
 * @param trigger where it comes from, unless it says so itself
 * @param keyOf   what a resend is known by; only asked when the caller may start it
 */
export async function startByMessage(
  context: AppContext,
  config: Config,
  { workflow: name, body, json, place }: WantedByMessage,
  trigger: TriggerSource,
  keyOf: () => Promise<string | null>,
): Promise<Response> {
  const { caller } = context.var
  authorise(config, { caller, reason: null }, 'POST', `/v1/workflows/${name}/executions`)
  const workflow = findWorkflow(config, name)
  const key = await keyOf()
  const { headers } = context.req.raw
  const admitted = await start(context.env, config, {
    workflow,
    caller,
    body: { ...body, trigger: body.trigger ?? trigger },
    input: inputOf(json),
    place,
    idempotency: key === null ? null : { key, content: json },
    wait: preferredWait(headers),
    traceparent: traceparent(headers),
  })
  return admissionAnswer(admitted)
}

/**
 * Reads what a message wants: a start's body, bare or as `data` of an envelope, and the workflow.
 *
 * @param configured the only workflow that its sender starts
 * @throws ProblemError `bad_request`
 */
function readMessage(sent: unknown, configured: string | undefined): WantedByMessage {
  const isEnvelope = typeof sent === 'object' && sent !== null && Object.hasOwn(sent, 'data')
  if (!isEnvelope) return wantedByMessage(checkJson(webhookSchema, sent), sent, '', configured)
  const { data } = checkJson(webhookEnvelopeSchema, sent)
  return wantedByMessage(data, (sent as { data: unknown }).data, '/data', configured)
}

/** What a checked message wants. @throws ProblemError `bad_request` when it is not clear what is to be started */
export function wantedByMessage(
  { workflow: named, ...body }: z.output<typeof webhookSchema>,
  json: unknown,
  place: string,
  configured: string | undefined,
): WantedByMessage {
  const refuse = (message: string): ProblemError =>
    new ProblemError('bad_request', 'the request body is not valid', {
      errors: [{ path: `${place}/workflow`, message }],
    })
  const workflow = configured ?? named
  if (workflow === undefined) throw refuse('is required: the webhook names no workflow')
  if (named !== undefined && named !== workflow) throw refuse(`the webhook starts ${workflow} and no other`)
  return { workflow, body, json, place }
}
