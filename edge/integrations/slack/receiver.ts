/** The door for a Slack app: its slash command, and its buttons. */
import type { Config } from '../../../shared/config.ts'
import { isExecutionId } from '../../../shared/execution-id.ts'
import { log, messageOf } from '../../../shared/log.ts'
import { findPass } from '../../../shared/route-rules.ts'
import { authorise } from '../../access/authorise.ts'
import type { AppContext } from '../../context.ts'
import { mediaType } from '../../http/body.ts'
import { traceparent } from '../../http/headers.ts'
import { ProblemError } from '../../http/problem.ts'
import { within } from '../../patience.ts'
import { approve, reject } from '../../trigger/approval.ts'
import { start } from '../../trigger/pipeline.ts'
import { allWorkflows, findWorkflow } from '../../trigger/workflow.ts'
import { refuseReplay, signedMessage } from '../signed-message.ts'
import { readOrder, splitCommand } from './command.ts'
import { ACTIONS, mention } from './message.ts'
import { admittedReply, decidedMessage, help, refusal, type SlackReply, UNDECIDED, verdictText } from './replies.ts'
import { readSlackRequest, type SlackCommand, type SlackInteraction } from './request.ts'
import { respond, responseUrl } from './respond.ts'

/** How long a command waits for Temporal's confirmation, and for an answer at all, in milliseconds: Slack waits for 3 s. */
const WAIT = 1500
const ANSWER_WITHIN = 2300
/** No webhook has this name. */
const SENDER = '/slack'

/** `POST /v1/triggers/slack` */
export async function receiveSlack(context: AppContext, config: Config): Promise<Response> {
  const { slack } = config.coordinator
  if (slack === undefined) throw new ProblemError('not_found', 'coordinator.hcl has no slack { … }')
  const message = signedMessage(context)
  const type = mediaType(context.req.raw.headers)
  if (type !== 'application/x-www-form-urlencoded') {
    throw new ProblemError('unsupported_media_type', `the body must be a form, not ${type || 'of no type'}`)
  }
  const sent = readSlackRequest(context.var.body)
  if (sent === null || message === null) throw new ProblemError('bad_request', 'it names no user of a workspace')
  await refuseReplay(context, config, SENDER, message)
  if ('command' in sent) return context.json(await answerCommand(context, config, sent.command, slack.response_prefix))
  const url = responseUrl(slack.response_prefix, sent.interaction.response_url)
  context.executionCtx.waitUntil(press(context, config, sent.interaction, url))
  return context.body(null, 200)
}

/** Does what a command says. What takes longer than Slack waits is answered later. */
async function answerCommand(
  context: AppContext,
  config: Config,
  command: SlackCommand,
  prefix: string,
): Promise<SlackReply> {
  const reply = runCommand(context, config, command)
  const soon = await within(ANSWER_WITHIN, reply, () => null)
  if (soon !== null) return soon
  const url = responseUrl(prefix, command.response_url)
  context.executionCtx.waitUntil(reply.then((late) => (url === null ? undefined : respond(context.env, url, late))))
  return UNDECIDED
}

/** @returns what came of it, also when it is refused: to Slack any other status than 200 is a failure of the app */
async function runCommand(
  { env, var: { caller, requestId }, req }: AppContext,
  config: Config,
  { command, text }: SlackCommand,
): Promise<SlackReply> {
  const pathOf = (workflow: string): string => `/v1/workflows/${workflow}/executions`
  try {
    const split = splitCommand(text)
    if (split === null) {
      return help(
        command,
        allWorkflows(config).filter(({ name }) => findPass(config, caller, 'POST', pathOf(name)) !== null),
      )
    }
    authorise(config, { caller, reason: null }, 'POST', pathOf(split.workflow))
    const workflow = findWorkflow(config, split.workflow)
    const { target, input, reason } = readOrder(workflow, split.rest)
    const admitted = await start(env, config, {
      workflow,
      caller,
      body: { target, ...(reason === null ? {} : { reason }), trigger: { source: 'slack', name: command } },
      input,
      place: '',
      idempotency: null,
      wait: WAIT,
      traceparent: traceparent(req.raw.headers),
    })
    return admittedReply(admitted)
  } catch (error) {
    return refusal(asProblem(error, requestId))
  }
}

/** Approves or rejects, if a button of ours was pressed, and says what came of it. */
async function press(
  { env, var: { caller, requestId } }: AppContext,
  config: Config,
  interaction: SlackInteraction,
  url: string | null,
): Promise<void> {
  const [pressed] = interaction.actions
  const verdict =
    pressed?.action_id === ACTIONS.approve ? 'approve' : pressed?.action_id === ACTIONS.reject ? 'reject' : null
  if (interaction.type !== 'block_actions' || verdict === null) return
  const id = pressed?.value ?? ''
  const approval = { caller, reason: null }
  const answer = await (async (): Promise<object> => {
    try {
      if (!isExecutionId(id)) throw new ProblemError('not_found', 'there is no such execution')
      authorise(config, { caller, reason: null }, 'POST', `/v1/executions/${id}/${verdict}`)
      const execution =
        verdict === 'approve'
          ? (await approve(env, config, id, approval, WAIT)).execution
          : await reject(env, config, id, approval)
      return decidedMessage(interaction, verdictText(verdict, execution), mention(caller))
    } catch (error) {
      const problem = asProblem(error, requestId)
      log('info', 'slack_refused', { request_id: requestId, caller, execution: id, code: problem.code })
      // Somebody else has decided it; one that was denied goes on waiting, with its buttons.
      if (problem.code === 'not_awaiting_approval') return decidedMessage(interaction, problem.message)
      return { ...refusal(problem), replace_original: false }
    }
  })()
  if (url !== null) await respond(env, url, answer)
  else
    log('warn', 'slack_response_failed', {
      request_id: requestId,
      detail: "response_url is not below slack's response_prefix",
    })
}

function asProblem(error: unknown, requestId: string): ProblemError {
  if (error instanceof ProblemError) return error
  log('error', 'request_failed', {
    request_id: requestId,
    detail: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  })
  return new ProblemError('internal', `an internal error; the log has it under the request id ${requestId}`)
}
