/** The endpoint for a Slack app: its slash command and its buttons. */

import pTimeout from 'p-timeout'
import { z } from 'zod'
import { isExecutionId } from '../../../shared/execution-id.ts'
import { log, messageOf } from '../../../shared/log.ts'
import { findPass } from '../../../shared/route-rules.ts'
import { allWorkflows } from '../../../shared/workflows.ts'
import { authorise } from '../../access/authorise.ts'
import type { AppContext } from '../../context.ts'
import { mediaType } from '../../http/body.ts'
import { traceparent } from '../../http/headers.ts'
import { ProblemError } from '../../http/problem.ts'
import type { Route } from '../../route.ts'
import { approve, reject } from '../../trigger/approval.ts'
import { start } from '../../trigger/pipeline.ts'
import { findWorkflow } from '../../trigger/workflow.ts'
import { refuseReplay, signedMessage } from '../common/signed-message.ts'
import { readParameters, splitCommand } from './command.ts'
import { ACTIONS, mention } from './message.ts'
import { admittedReply, decidedMessage, help, refusal, type SlackReply, UNDECIDED, verdictText } from './replies.ts'
import { readSlackRequest, type SlackCommand, type SlackInteraction } from './request.ts'
import { respond, responseUrl } from './respond.ts'

export const slackRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/triggers/slack',
    handler: receiveSlack,
    body: z.record(z.string(), z.string()),
    bodyType: 'application/x-www-form-urlencoded',
    summary: "Run a Slack app's slash command or button; a refusal is 200 too, with its text",
    answers: { 200: null },
    problems: ['not_found', 'unsupported_media_type', 'bad_request', 'replayed', 'ledger_unavailable', 'starting'],
  },
]

/** How long a command waits for Temporal's confirmation of the start. */
const START_TIMEOUT_MS = 1500
/** How long a command waits for any answer: Slack waits for 3 s. */
const ANSWER_TIMEOUT_MS = 2300
/** The sender of Slack's messages; no webhook can have this name. */
const SENDER = '/slack'

async function receiveSlack(context: AppContext): Promise<Response> {
  const { config } = context.var
  const { slack } = config.coordinator
  if (slack === undefined) throw new ProblemError('not_found', 'coordinator.hcl has no slack { … }')
  const message = signedMessage(context)
  const type = mediaType(context.req.raw.headers)
  if (type !== 'application/x-www-form-urlencoded') {
    throw new ProblemError(
      'unsupported_media_type',
      `the body must be a form, not ${type || 'untyped: set Content-Type'}`,
    )
  }
  const sent = readSlackRequest(context.var.body)
  if (sent === null || message === null) throw new ProblemError('bad_request', 'it names no user of a workspace')
  await refuseReplay(context, SENDER, message)
  if ('command' in sent) return context.json(await answerCommand(context, sent.command, slack.response_prefix))
  const url = responseUrl(slack.response_prefix, sent.interaction.response_url)
  context.executionCtx.waitUntil(pressButton(context, sent.interaction, url))
  return context.body(null, 200)
}

/** Runs a command. What takes longer than Slack waits is answered later, at the response URL. */
async function answerCommand(context: AppContext, command: SlackCommand, prefix: string): Promise<SlackReply> {
  const reply = runCommand(context, command)
  const soon = await pTimeout(reply, { milliseconds: ANSWER_TIMEOUT_MS, fallback: () => null })
  if (soon !== null) return soon
  const url = responseUrl(prefix, command.response_url)
  context.executionCtx.waitUntil(reply.then((late) => (url === null ? undefined : respond(context.env, url, late))))
  return UNDECIDED
}

/** @returns the outcome, also of a refusal: to Slack any status but 200 is a failure of the app */
async function runCommand(
  { var: { config, ledgers, caller, requestId }, req }: AppContext,
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
    const { target, input, reason } = readParameters(workflow, split.rest)
    const admitted = await start(ledgers, config, {
      workflow,
      caller,
      target,
      ...(reason === null ? {} : { reason }),
      trigger: { source: 'slack', name: command },
      input,
      pointer: '',
      idempotency: null,
      wait: START_TIMEOUT_MS,
      traceparent: traceparent(req.raw.headers),
    })
    return admittedReply(admitted)
  } catch (error) {
    return refusal(asProblem(error, requestId))
  }
}

/** Approves or rejects when one of our buttons was pressed, and reports the outcome. */
async function pressButton(
  { env, var: { config, ledgers, caller, requestId } }: AppContext,
  interaction: SlackInteraction,
  url: string | null,
): Promise<void> {
  const [pressed] = interaction.actions
  const verdict =
    pressed?.action_id === ACTIONS.approve ? 'approve' : pressed?.action_id === ACTIONS.reject ? 'reject' : null
  if (interaction.type !== 'block_actions' || verdict === null) return
  const id = pressed?.value ?? ''
  const by = { caller, reason: null }
  const answer = await (async (): Promise<object> => {
    try {
      if (!isExecutionId(id)) throw new ProblemError('not_found', 'there is no such execution')
      authorise(config, { caller, reason: null }, 'POST', `/v1/executions/${id}/${verdict}`)
      const execution =
        verdict === 'approve'
          ? (await approve(ledgers, config, id, by, START_TIMEOUT_MS)).execution
          : await reject(ledgers, id, by)
      return decidedMessage(interaction, verdictText(verdict, execution), mention(caller))
    } catch (error) {
      const problem = asProblem(error, requestId)
      log('info', 'slack_refused', { request_id: requestId, caller, execution: id, code: problem.code })
      // Somebody else has decided it. One that was denied still awaits approval and keeps its buttons.
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
  return new ProblemError('internal', `an internal error; see request id ${requestId} in the log`)
}
