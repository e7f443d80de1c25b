/** The endpoint for signed messages (Standard Webhooks): each is a trigger. */
import { z } from 'zod'
import { type StartBody, type TriggerMetadata, webhookEnvelopeSchema, webhookSchema } from '../../../shared/wire.ts'
import { authorise } from '../../access/authorise.ts'
import type { AppContext } from '../../context.ts'
import { checkJson, readJson } from '../../http/body.ts'
import { preferredWait, traceparent } from '../../http/headers.ts'
import { ProblemError } from '../../http/problem.ts'
import { DENIED, MALFORMED, type Route, UNDECIDED } from '../../route.ts'
import { start } from '../../trigger/pipeline.ts'
import { admissionResponse, inputOf } from '../../trigger/response.ts'
import { findWorkflow } from '../../trigger/workflow.ts'
import { refuseReplay, signedMessage } from '../common/signed-message.ts'

export const webhookRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/triggers/webhook/:name',
    handler: receiveMessage,
    body: z.union([webhookSchema, webhookEnvelopeSchema]),
    summary: 'Start a workflow by a signed message (Standard Webhooks), if its constraints allow it now',
    answers: { 200: 'Admission', 201: 'Admission', 202: 'Admission' },
    problems: ['not_found', ...MALFORMED, 'replayed', 'idempotency_conflict', ...DENIED, ...UNDECIDED],
  },
]

async function receiveMessage(context: AppContext): Promise<Response> {
  const { config, body } = context.var
  const name = context.req.param('name') ?? ''
  const webhook = Object.hasOwn(config.coordinator.webhook, name) ? config.coordinator.webhook[name] : undefined
  if (webhook?.format !== 'standard') throw new ProblemError('not_found', 'there is no such webhook')
  const message = signedMessage(context)
  const requested = readMessage(readJson(context.req.raw, body), webhook.workflow)
  return startByMessage(context, requested, { source: 'webhook', name }, async () => {
    if (message !== null) await refuseReplay(context, name, message)
    return message?.id ?? null
  })
}

/** The start that a message requests. */
export interface MessageStart {
  workflow: string
  body: StartBody
  /** The body as it was sent. */
  json: unknown
  /** JSON Pointer of the body in the request's. */
  pointer: string
}

/**
 * Starts what a message requests.
 *
 * @param trigger where the message comes from, unless it says so itself
 * @param keyOf   the key that identifies a resend; only called when the caller is authorised for the start
 */
export async function startByMessage(
  context: AppContext,
  { workflow: name, body, json, pointer }: MessageStart,
  trigger: TriggerMetadata,
  keyOf: () => Promise<string | null>,
): Promise<Response> {
  const { config, ledgers, caller } = context.var
  authorise(config, { caller, reason: null }, 'POST', `/v1/workflows/${name}/executions`)
  const workflow = findWorkflow(config, name)
  const key = await keyOf()
  const { headers } = context.req.raw
  const admitted = await start(ledgers, config, {
    ...body,
    trigger: body.trigger ?? trigger,
    workflow,
    caller,
    input: inputOf(json),
    pointer,
    idempotency: key === null ? null : { key, content: json },
    wait: preferredWait(headers),
    traceparent: traceparent(headers),
  })
  return admissionResponse(admitted)
}

/**
 * Reads the start that a message requests: a start's body, bare or as `data` of an envelope, and the workflow.
 *
 * @param configured the only workflow that its sender may start
 * @throws ProblemError `bad_request`
 */
function readMessage(sent: unknown, configured: string | undefined): MessageStart {
  const isEnvelope = typeof sent === 'object' && sent !== null && Object.hasOwn(sent, 'data')
  if (!isEnvelope) return requestedByMessage(checkJson(webhookSchema, sent), sent, '', configured)
  const { data } = checkJson(webhookEnvelopeSchema, sent)
  return requestedByMessage(data, (sent as { data: unknown }).data, '/data', configured)
}

/** The start that a valid message requests. @throws ProblemError `bad_request` when it is unclear which workflow */
export function requestedByMessage(
  { workflow: named, ...body }: z.output<typeof webhookSchema>,
  json: unknown,
  pointer: string,
  configured: string | undefined,
): MessageStart {
  const refuse = (message: string): ProblemError =>
    new ProblemError('bad_request', 'the request body is not valid', {
      errors: [{ path: `${pointer}/workflow`, message }],
    })
  const workflow = configured ?? named
  if (workflow === undefined) throw refuse('is required: the webhook names no workflow')
  if (named !== undefined && named !== workflow) throw refuse(`the webhook starts ${workflow} and no other`)
  return { workflow, body, json, pointer }
}
