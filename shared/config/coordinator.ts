/** coordinator.hcl */
import { z } from 'zod'
import { isName } from '../names.ts'
import { isSlackPattern } from '../slack-id.ts'
import { isSpiffeId, isTrustDomain } from '../spiffe-id.ts'
import { environmentVariable, flag, given, hostPort, name, openUrl, text, wholeNumber } from './fields.ts'
import { coordinatorTemporalSchema } from './temporal.ts'

const METHODS = ['*', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const routeRuleSchema = z.strictObject({
  name: text,
  method: z.enum(METHODS),
  route_patterns: z
    .array(
      text.refine(isRoutePattern, { error: 'expected a path that begins with "/"; "*" may replace a whole segment' }),
      {
        error: 'expected a list of path patterns',
      },
    )
    .min(1, { error: 'must name at least one pattern' }),
  uris: z
    .array(
      text.refine(isCallerPattern, {
        error:
          'expected a SPIFFE ID such as spiffe://example.org/admin, one that ends in "/*", webhook:<name>, ' +
          'slack:<workspace>/<user> or slack:<workspace>/*',
      }),
      { error: 'expected a list of SPIFFE IDs' },
    )
    .default([]),
  allow_public: flag.default(false),
  skip_log_match: flag.default(false),
})

const serverSchema = z.strictObject({
  enable_tls: flag.default(false),
  listen: hostPort.default('127.0.0.1:8787'),
  hosts: z.array(text, { error: 'expected a list of host names' }).default([]),
  cert_file: text.optional(),
  key_file: text.optional(),
  client_ca_file: text.optional(),
  crl_file: text.optional(),
  trust_domains: z
    .array(text.refine(isTrustDomain, { error: 'expected a trust domain such as example.org' }), {
      error: 'expected a list of trust domains',
    })
    .optional(),
  worker_id: text
    .refine(isWorkerIdPattern, {
      error: 'expected a SPIFFE ID with {node} as one of its segments, such as spiffe://example.org/worker/{node}',
    })
    .optional(),
  requests_per_second: wholeNumber.refine((value) => value >= 1, { error: 'must be at least 1' }).default(100),
  route_rule: z.array(routeRuleSchema).default([]),
})

/** Where a secret is. */
export interface SecretPlace {
  secret_env?: string | undefined
  secret_file?: string | undefined
}

/** Where a secret is, and the one that it replaces while that is still in use somewhere. */
export interface RotatedSecretPlace extends SecretPlace {
  previous_secret_env?: string | undefined
  previous_secret_file?: string | undefined
}

/** The keys that say where a webhook's or receiver's secret is. */
const secretKeys = {
  secret_env: environmentVariable.optional(),
  secret_file: text.optional(),
  previous_secret_env: environmentVariable.optional(),
  previous_secret_file: text.optional(),
}

/** The two keys that say where a secret is. */
function keysOf(name: string): [string, string] {
  return [`${name}_env`, `${name}_file`]
}

/** A check that at most one of the two keys is given. */
function refuseBoth(name: string): [(block: object, context: z.RefinementCtx) => void, ReturnType<typeof given>] {
  const [variable, file] = keysOf(name)
  const check = (block: object, context: z.RefinementCtx): void => {
    if (Reflect.get(block, variable) === undefined || Reflect.get(block, file) === undefined) return
    context.addIssue({ code: 'custom', path: [file], message: `${variable} and ${file} are mutually exclusive` })
  }
  return [check, given(variable, file)]
}

/** A check that one of the two is. */
function requireOne(name: string): ReturnType<typeof refuseBoth> {
  const keys = keysOf(name)
  const check = (block: object, context: z.RefinementCtx): void => {
    if (keys.some((key) => Reflect.get(block, key) !== undefined)) return
    context.addIssue({ code: 'custom', path: keys.slice(0, 1), message: 'is required', params: { missing: keys } })
  }
  return [check, given(...keys)]
}

/** A check that there is no previous secret without the one that replaces it. */
function refusePreviousAlone(name: string): ReturnType<typeof refuseBoth> {
  const keys = keysOf(name)
  const previous = keysOf(`previous_${name}`)
  const check = (block: object, context: z.RefinementCtx): void => {
    const has = (key: string): boolean => Reflect.get(block, key) !== undefined
    const alone = keys.some(has) ? undefined : previous.find(has)
    if (alone === undefined) return
    const message = `there is no ${keys.join(' or ')} that replaces it`
    context.addIssue({ code: 'custom', path: [alone], message, params: { missing: keys } })
  }
  return [check, given(...keys, ...previous)]
}

/** How the messages of a webhook are signed, and what they say. */
const WEBHOOK_FORMATS = ['standard', 'pagerduty', 'cloudevents'] as const

/** A sender of signed messages: an endpoint, or a sender at the endpoint of its format. */
const webhookSchema = z
  .strictObject({ ...secretKeys, format: z.enum(WEBHOOK_FORMATS).default('standard'), workflow: name.optional() })
  .superRefine(...refuseBoth('secret'))
  .superRefine(...refuseBoth('previous_secret'))
  .superRefine(...requireOne('secret'))

/** The Slack app whose commands and buttons are taken. */
const slackSchema = z
  .strictObject({
    signing_secret_env: environmentVariable.optional(),
    signing_secret_file: text.optional(),
    previous_signing_secret_env: environmentVariable.optional(),
    previous_signing_secret_file: text.optional(),
    response_prefix: openUrl
      .refine((value) => value.endsWith('/') && !/[?#]/.test(value), { error: 'must end with "/"' })
      .default('https://hooks.slack.com/'),
  })
  .superRefine(...refuseBoth('signing_secret'))
  .superRefine(...refuseBoth('previous_signing_secret'))
  .superRefine(...requireOne('signing_secret'))

/** A signature names no webhook: a message to one would be valid for any other with the same secret. */
function refuseSharedSecrets(webhooks: Record<string, z.output<typeof webhookSchema>>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>()
  for (const [webhook, block] of Object.entries(webhooks)) {
    for (const key of ['secret_env', 'secret_file', 'previous_secret_env', 'previous_secret_file'] as const) {
      if (block[key] === undefined) continue
      const place = `${key.endsWith('_env') ? 'variable' : 'file'} ${block[key]}`
      const owner = owners.get(place) ?? webhook
      owners.set(place, owner)
      if (owner === webhook) continue
      const message = `is that of webhook ${owner}; each needs its own secret`
      context.addIssue({ code: 'custom', path: [webhook, key], message })
    }
  }
}

/** Each receiver has exactly one of these blocks. */
const RECEIVER_KINDS = ['webhook', 'alertmanager', 'slack', 'pagerduty'] as const

/** A receiver of escalations. */
const receiverSchema = z
  .strictObject({
    /** With a secret, messages are signed. */
    webhook: z
      .strictObject({ url: openUrl, ...secretKeys })
      .superRefine(...refuseBoth('secret'))
      .superRefine(...refuseBoth('previous_secret'))
      .superRefine(...refusePreviousAlone('secret'))
      .optional(),
    alertmanager: z.strictObject({ url: openUrl }).optional(),
    /** Whoever knows the URL of an incoming webhook can write there: it is a secret as a whole. */
    slack: z
      .strictObject({ url_env: environmentVariable.optional(), url_file: text.optional() })
      .superRefine(...refuseBoth('url'))
      .superRefine(...requireOne('url'))
      .optional(),
    pagerduty: z
      .strictObject({
        routing_key_env: environmentVariable.optional(),
        routing_key_file: text.optional(),
        url: openUrl.default('https://events.pagerduty.com/v2/enqueue'),
      })
      .superRefine(...refuseBoth('routing_key'))
      .superRefine(...requireOne('routing_key'))
      .optional(),
  })
  .superRefine(
    (receiver, context) => {
      const kinds = RECEIVER_KINDS.filter((kind) => receiver[kind] !== undefined)
      if (kinds.length === 1) return
      context.addIssue({
        code: 'custom',
        path: [],
        message: kinds.length === 0 ? 'has no block: one must say how to notify it' : 'has more than one block',
        params: { permitted: RECEIVER_KINDS, ...(kinds.length === 0 && { missing: RECEIVER_KINDS }) },
      })
    },
    given(...RECEIVER_KINDS),
  )

export const coordinatorSchema = z
  .strictObject({
    datacenter: name.optional(),
    datacenters: z.array(name, { error: 'expected a list of datacenter names' }).min(1).optional(),
    server_config: serverSchema.optional(),
    temporal: coordinatorTemporalSchema.prefault({}),
    webhook: z.record(name, webhookSchema).superRefine(refuseSharedSecrets).default({}),
    slack: slackSchema.optional(),
    receiver: z.record(name, receiverSchema).default({}),
    permits: z.strictObject({ key_file: text }).optional(),
  })
  .superRefine(
    (coordinator, context) => {
      if (coordinator.datacenter === undefined && coordinator.datacenters === undefined) {
        const params = { missing: ['datacenter', 'datacenters'] }
        context.addIssue({ code: 'custom', path: ['datacenter'], message: 'is required', params })
      }
      if (coordinator.datacenter !== undefined && coordinator.datacenters !== undefined) {
        context.addIssue({
          code: 'custom',
          path: ['datacenters'],
          message: 'datacenter and datacenters are mutually exclusive',
        })
      }
      if (new Set(coordinator.datacenters).size !== (coordinator.datacenters?.length ?? 0)) {
        context.addIssue({ code: 'custom', path: ['datacenters'], message: 'names a datacenter twice' })
      }
    },
    given('datacenter', 'datacenters'),
  )

/** One rule of the access list, as the article writes it. */
export type RouteRule = z.output<typeof routeRuleSchema>
/** The server's side of coordinator.hcl, defaults filled in. */
export type ServerConfig = z.output<typeof serverSchema>
/** A sender of signed messages. */
export type WebhookConfig = z.output<typeof webhookSchema>
/** One receiver of escalations; exactly one of its blocks is present. */
export type ReceiverConfig = z.output<typeof receiverSchema>
/** coordinator.hcl, defaults filled in. */
export type CoordinatorConfig = z.output<typeof coordinatorSchema>

/** The datacenters that this coordinator owns, the first of them the default. */
export function datacentersOf(coordinator: {
  datacenter?: string | undefined
  datacenters?: string[] | undefined
}): string[] {
  return coordinator.datacenters ?? (coordinator.datacenter === undefined ? [] : [coordinator.datacenter])
}

function isRoutePattern(value: string): boolean {
  return /^(?:\/|(?:\/(?:\*|[^\s?#*/]+))+\/?)$/.test(value)
}

/** A SPIFFE ID, one with `/*` for all below it, the identity of a webhook, or users of Slack. */
function isCallerPattern(value: string): boolean {
  if (value.startsWith('slack:')) return isSlackPattern(value)
  if (value.startsWith('webhook:')) return isName(value.slice('webhook:'.length))
  return isSpiffeId(value.replace(/\/\*$/, ''))
}

function isWorkerIdPattern(value: string): boolean {
  return (
    value.split('/').filter((segment) => segment === '{node}').length === 1 &&
    isSpiffeId(value.replace('{node}', 'node'))
  )
}
