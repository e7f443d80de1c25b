/** Who sends a message that proves itself by its signature. */
import { Webhook } from 'standardwebhooks'
import type { Config, WebhookConfig } from '../../shared/config.ts'
import { findPass } from '../../shared/route-rules.ts'
import type { Identity } from '../access/identify.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../http/problem.ts'
import { keyOf, textOf } from '../notify/secret.ts'
import { isSignedByPagerDuty, readSignatures } from './pagerduty/signature.ts'
import { readSlackRequest } from './slack/request.ts'
import { isSignedBySlack, readSlackHeaders } from './slack/signature.ts'
import { isSigned, readHeaders, type SignedMessage } from './webhook/signature.ts'

/**
 * The sender of a request to a door for signed messages: itself with its message (null where its signature holds no
 * time), or whoever it is otherwise and why not.
 */
export type Sender = { identity: Identity; message: SignedMessage | null } | { identity: Identity; refused: string }

/** What of a request says who sent it. */
interface SentRequest {
  method: string
  path: string
  headers: Headers
  body: Uint8Array
}

/** Stands in for webhooks that are not there, so that it takes as long to say no; what it signs is refused too. */
const NOBODY = new Webhook(new Uint8Array(32), { format: 'raw' })

/**
 * Identifies the sender of a message: `webhook:<name>` if it is signed with that webhook's secret, `slack:<workspace>/<user>`
 * if Slack has signed it. A webhook is good for the door of its format alone. Whether there is such a webhook can't be
 * told from the answer by anyone who doesn't pass otherwise.
 *
 * @param otherwise who the caller is without a signature
 * @returns null for a request to any other path
 * @throws ProblemError `starting` when the secret is missing or can't be used
 */
export async function identifySender(
  config: Config,
  env: Env,
  otherwise: Identity,
  request: SentRequest,
): Promise<Sender | null> {
  if (request.method !== 'POST') return null
  const found = await findSender(config, env, request)
  if (found === null || 'identity' in found) return found
  return { identity: { ...otherwise, reason: found.refused }, refused: found.refused }
}

type Found = Exclude<Sender, { refused: string }> | { refused: string }

async function findSender(config: Config, env: Env, request: SentRequest): Promise<Found | null> {
  const name = /^\/v1\/triggers\/webhook\/([^/]+)$/.exec(request.path)?.[1]
  if (name !== undefined) return ofWebhook(config, env, name, request)
  switch (request.path) {
    case '/v1/triggers/cloudevents':
      return ofCloudEvents(config, env, request)
    case '/v1/triggers/pagerduty':
      return ofPagerDuty(config, env, request)
    case '/v1/triggers/slack':
      return ofSlack(config, env, request)
    default:
      return null
  }
}

function ofWebhook(config: Config, env: Env, name: string, request: SentRequest): Found {
  const headers = readHeaders(request.headers, Date.now())
  if ('refused' in headers) return headers
  const [entry] = webhooksOf(config, 'standard').filter(([other]) => other === name)
  const key = entry === undefined ? null : keyOf(env, `webhook ${name}`, entry[1])
  if (entry !== undefined && key === null) refuseUnready(config, name, request)
  const signed = isSigned(key ?? NOBODY, headers, request.body)
  if (!signed || key === null) return { refused: UNSIGNED }
  return webhookSender(name, headers)
}

/** An event needs no signature where the connection says who sends it; but one that is there must be right. */
function ofCloudEvents(config: Config, env: Env, request: SentRequest): Found | null {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
  if (!names.some((header) => request.headers.has(header))) return null
  const headers = readHeaders(request.headers, Date.now())
  if ('refused' in headers) return headers
  const entries = webhooksOf(config, 'cloudevents')
  for (const [name, webhook] of entries) {
    const key = keyOf(env, `webhook ${name}`, webhook)
    if (key !== null && isSigned(key, headers, request.body)) return webhookSender(name, headers)
  }
  for (const [name, webhook] of entries) {
    if (keyOf(env, `webhook ${name}`, webhook) === null) refuseUnready(config, name, request)
  }
  return { refused: UNSIGNED }
}

async function ofPagerDuty(config: Config, env: Env, request: SentRequest): Promise<Found> {
  const header = readSignatures(request.headers)
  if ('refused' in header) return header
  const entries = webhooksOf(config, 'pagerduty')
  for (const [name, { secret_env }] of entries) {
    const secret = textOf(env, `webhook ${name}`, secret_env)
    if (secret !== null && (await isSignedByPagerDuty(secret, header.signatures, request.body))) {
      return webhookSender(name, null)
    }
  }
  for (const [name, { secret_env }] of entries) {
    if (textOf(env, `webhook ${name}`, secret_env) === null) refuseUnready(config, name, request)
  }
  return { refused: UNSIGNED }
}

async function ofSlack({ coordinator: { slack } }: Config, env: Env, request: SentRequest): Promise<Found> {
  const headers = readSlackHeaders(request.headers, Date.now())
  if ('refused' in headers) return headers
  if (slack === undefined) return { refused: UNSIGNED }
  const secret = textOf(env, 'slack', slack.signing_secret_env)
  if (secret === null) throw new ProblemError('starting', "Slack's signing secret is missing, or shorter than 16 bytes")
  if (!(await isSignedBySlack(secret, headers, request.body))) return { refused: UNSIGNED }
  const sent = readSlackRequest(request.body)
  if (sent === null) return { refused: 'it names no user of a workspace' }
  return { identity: { caller: sent.caller, reason: null }, message: headers }
}

const UNSIGNED = 'no signature of the message is right'

function webhooksOf({ coordinator }: Config, format: WebhookConfig['format']): [string, WebhookConfig][] {
  return Object.entries(coordinator.webhook).filter(([, webhook]) => webhook.format === format)
}

function webhookSender(name: string, message: SignedMessage | null): Found {
  const signed = message === null ? null : { id: message.id, timestamp: message.timestamp }
  return { identity: { caller: `webhook:${name}`, reason: null }, message: signed }
}

/** Says that a webhook's secret can't be used, where that one would pass. */
function refuseUnready(config: Config, name: string, { method, path }: SentRequest): void {
  if (findPass(config, `webhook:${name}`, method, path) === null) return
  throw new ProblemError('starting', `the secret of webhook "${name}" is missing, or not what its format wants`)
}
