/** The endpoint for CloudEvents. */
import { z } from 'zod'
import { sha256 } from '../../../shared/sha256.ts'
import { webhookSchema } from '../../../shared/wire.ts'
import type { AppContext } from '../../context.ts'
import { checkJson } from '../../http/body.ts'
import { checkAt, ProblemError } from '../../http/problem.ts'
import { DENIED, MALFORMED, type Route, UNDECIDED } from '../../route.ts'
import { batchContext, startBatch } from '../../trigger/batch.ts'
import { instantEpisodes, recordEpisodes } from '../../trigger/episodes.ts'
import { respondWithItems } from '../common/response.ts'
import { refuseReplay, signedMessage, webhookOf } from '../common/signed-message.ts'
import { requestedByMessage, startByMessage } from '../webhook/receiver.ts'
import { type CloudEvent, cloudeventSignal, deduplicationKeyOf, readEvent } from './event.ts'

export const cloudeventsRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/triggers/cloudevents',
    handler: receiveEvent,
    body: z.record(z.string(), z.unknown()),
    bodyType: 'application/cloudevents+json',
    summary: 'Start what a CloudEvent (1.0, binary or structured) requests, if constraints allow it now',
    answers: { 200: 'TriggerItems', 201: 'Admission', 202: 'Admission' },
    problems: [...MALFORMED, 'replayed', 'idempotency_conflict', ...DENIED, ...UNDECIDED, 'try_again'],
  },
]

async function receiveEvent(context: AppContext): Promise<Response> {
  const { config, caller, sender, body } = context.var
  const message = sender === undefined ? null : signedMessage(context)
  const event = readEvent(context.req.raw, body)
  // Headers choose targets, and are not signed: anyone in between could change them.
  if (message !== null && !event.isStructured) {
    throw new ProblemError(
      'unsupported_media_type',
      'a signature covers only the body: send a signed event in structured mode, as application/cloudevents+json',
      { headers: { accept: 'application/cloudevents+json' } },
    )
  }
  const workflow = webhookOf(context)?.workflow
  const remember = async (): Promise<void> => {
    if (message !== null) await refuseReplay(context, caller, message)
  }
  const signal = cloudeventSignal(config, event, workflow)
  if (signal.requested.length === 0 && namesWorkflow(event)) {
    return startByEvent(context, event, workflow, remember)
  }
  await remember()
  const items = (await startBatch(batchContext(context), [signal])).flat()
  recordEpisodes(context, instantEpisodes('cloudevents', items, Date.now()))
  return respondWithItems(context, { items })
}

/** Whether an event's data is a trigger by itself, as a webhook's message is. */
function namesWorkflow({ data }: CloudEvent): boolean {
  return typeof data === 'object' && data !== null && Object.hasOwn(data, 'workflow')
}

async function startByEvent(
  context: AppContext,
  event: CloudEvent,
  workflow: string | undefined,
  remember: () => Promise<void>,
): Promise<Response> {
  const { data, pointer } = event
  const message = checkAt(pointer, () => checkJson(webhookSchema, data))
  const requested = requestedByMessage(message, data, pointer, workflow)
  const { source, id } = event.attributes
  return startByMessage(context, requested, { source: 'cloudevents', name: source, fingerprint: id }, async () => {
    await remember()
    return sha256(JSON.stringify(deduplicationKeyOf(event)))
  })
}
