/** The door for CloudEvents. */
import type { Config } from '../../../shared/config.ts'
import { sha256 } from '../../../shared/sha256.ts'
import { webhookSchema } from '../../../shared/wire.ts'
import type { AppContext } from '../../context.ts'
import { checkJson } from '../../http/body.ts'
import { checkAt, ProblemError } from '../../http/problem.ts'
import { fire } from '../../trigger/batch.ts'
import { momentsOf, record } from '../../trigger/episodes.ts'
import { answerItems, firingContext } from '../response.ts'
import { refuseReplay, signedMessage, webhookOf } from '../signed-message.ts'
import { startByMessage, wantedByMessage } from '../webhook/receiver.ts'
import { type CloudEvent, cloudeventSignal, occasionOf, readEvent } from './event.ts'

/** `POST /v1/triggers/cloudevents` */
export async function receiveEvent(context: AppContext, config: Config): Promise<Response> {
  const { caller, sender, body } = context.var
  const message = sender === undefined ? null : signedMessage(context)
  const event = readEvent(context.req.raw, body)
  // Headers choose targets, and anyone on the way could change them.
  if (message !== null && !event.isStructured) {
    throw new ProblemError(
      'unsupported_media_type',
      'a signature holds for the body alone: a signed event comes in structured mode, as application/cloudevents+json',
      { headers: { accept: 'application/cloudevents+json' } },
    )
  }
  const webhook = webhookOf(context, config)
  const remember = async (): Promise<void> => {
    if (message !== null) await refuseReplay(context, config, caller, message)
  }
  const signal = cloudeventSignal(config, event, webhook?.workflow)
  if (signal.wanted.length === 0 && namesWorkflow(event)) {
    return startItself(context, config, event, webhook?.workflow, remember)
  }
  await remember()
  const items = (await fire(firingContext(context, config), [signal])).flat()
  record(context, momentsOf('cloudevents', items, Date.now()))
  return answerItems(context, { items })
}

/** Whether an event's data is a message as a webhook's: it says itself what is to be started. */
function namesWorkflow({ data }: CloudEvent): boolean {
  return typeof data === 'object' && data !== null && Object.hasOwn(data, 'workflow')
}

async function startItself(
  context: AppContext,
  config: Config,
  event: CloudEvent,
  workflow: string | undefined,
  remember: () => Promise<void>,
): Promise<Response> {
  const { data, place } = event
  const message = checkAt(place, () => checkJson(webhookSchema, data))
  const wanted = wantedByMessage(message, data, place, workflow)
  const { source, id } = event.attributes
  return startByMessage(context, config, wanted, { source: 'cloudevents', name: source, fingerprint: id }, async () => {
    await remember()
    return sha256(JSON.stringify(occasionOf(event)))
  })
}
