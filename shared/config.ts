/**
 * The configuration schema. It stands once: the compiler checks HCL against it, the coordinator reads the compiled
 * document with it, and docs and /openapi.json are made from it.
 *
 * Shape of the input side: blocks without labels that may repeat are arrays (`constraint`, `route_rule`), labelled
 * blocks are objects keyed by label (`input`, `command`, `detector`), single blocks are objects. Durations are text
 * on the input side and milliseconds (`…_ms`-free names, always milliseconds) on the output side.
 */
import { RE2JS } from 're2js'
import { z } from 'zod'
import { durationSchema } from './duration-schema.ts'
import { isName, NAME_RULE } from './names.ts'
import { isSpiffeId, isTrustDomain } from './spiffe-id.ts'

/** Version of the compiled document's shape; a coordinator refuses any other. */
export const CONFIG_VERSION = 1

/** Most that a window may look back, the longest time rows are kept. */
const LONGEST_PERIOD = '744h'
/** The same in milliseconds. */
export const LONGEST_PERIOD_MS = 744 * 3_600_000

const name = z.string({ error: 'expected a quoted name' }).refine(isName, { error: `not a name: ${NAME_RULE}` })
const text = z.string({ error: 'expected a quoted string' }).min(1, { error: 'must not be empty' })
const flag = z.boolean({ error: 'expected true or false' })
const pattern = text.refine(isLinearPattern, {
  error: 'not a regular expression that runs in linear time (RE2 syntax)',
})
const hostPort = text.refine(isHostPort, { error: 'expected HOST:PORT' })
const localDoor = text.refine((value) => isHostPort(value) || /^unix:\/.{1,99}$/.test(value), {
  error: 'expected HOST:PORT, or unix: and an absolute path of at most 100 bytes',
})
const httpUrl = text.refine(isHttpUrl, { error: 'expected an http:// or https:// URL' })
/** One that holds no secret: a user or password in it would be shown wherever it is. */
const openUrl = httpUrl.refine(hasNoUser, { error: 'must not hold a user or password' })

/**
 * Lets a check over several keys run although something else is wrong, so that every mistake is reported at once: only
 * a mistake in `keys` themselves stops it, and what it reads of other keys may be of any type.
 *
 * An issue which says that something is absent has `params.missing`, the keys that would satisfy it, so that a reader
 * who knows why they are absent (misspelt, say) can leave it out.
 */
function given(...keys: string[]): { when: (payload: z.core.ParsePayload) => boolean } {
  return {
    when: ({ value, issues }) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      !issues.some(({ path }) => path?.length === 1 && keys.includes(String(path[0]))),
  }
}

const numberOrText = z.union([z.number(), z.string()], { error: 'expected a whole number, quoted or not' })

/** A whole number, quoted or not: operators write both. */
const wholeNumber = numberOrText.transform(toWholeNumber)

/** A whole number, or a share of the known nodes such as "10%", which stays a text. */
const constraintValue = numberOrText.transform((value, context) =>
  typeof value === 'string' && /^(?:[1-9]\d?|100)%$/.test(value) ? value : toWholeNumber(value, context),
)

// --- workflows/<name>.hcl ---------------------------------------------------------------------------------------

const targetPattern = /^(?:node|datacenter|node_type(?::(.+))?)$/

/** Where a workflow's work is done: `node`, `node_type`, `node_type:<type>` or `datacenter`. */
const taskQueueTarget = z.string({ error: 'expected a quoted string' }).refine(
  (value) => {
    const match = targetPattern.exec(value)
    return match !== null && (match[1] === undefined || isName(match[1]))
  },
  { error: 'unknown target', params: { permitted: ['node', 'node_type', 'node_type:<type>', 'datacenter'] } },
)

/** One declared field of a workflow's input. */
const inputSchema = z
  .strictObject({
    type: z.enum(['string', 'number', 'bool', 'object']),
    required: flag.default(false),
    default: z.unknown().optional(),
    pattern: pattern.optional(),
  })
  .superRefine(
    (input, context) => {
      if (input.pattern !== undefined && input.type !== 'string') {
        context.addIssue({ code: 'custom', path: ['pattern'], message: 'only an input of type "string" has a pattern' })
      }
    },
    given('type', 'pattern'),
  )
  .superRefine((input, context) => {
    if (input.default !== undefined && typeOf(input.default) !== input.type) {
      context.addIssue({ code: 'custom', path: ['default'], message: `is not of type ${input.type}` })
    }
  }, given('type'))
  .superRefine((input, context) => {
    if (input.default !== undefined && input.required) {
      context.addIssue({ code: 'custom', path: ['default'], message: 'a required input has no default' })
    }
  }, given('required'))
  .superRefine(
    (input, context) => {
      if (input.pattern === undefined || typeof input.default !== 'string' || input.type !== 'string') return
      if (RE2JS.compile(input.pattern).matcher(input.default).find()) return
      context.addIssue({ code: 'custom', path: ['default'], message: 'does not match the pattern' })
    },
    given('type', 'pattern'),
  )

/** The kinds of constraints, as receipts name them. */
export const CONSTRAINT_KINDS = ['maxExecution', 'concurrency', 'exclusive', 'maxUnavailable', 'maxFailure'] as const

/** What a constraint may be. The published design spells one of them "concurency"; both are read. */
const kind = z
  .enum([...CONSTRAINT_KINDS, 'concurency'])
  .transform((value) => (value === 'concurency' ? 'concurrency' : value))

/** Which keys beside `kind` a kind wants (true), permits (null) or has no use for (false), and its least value. */
const KIND_RULES = {
  maxExecution: { value: true, period: true, is_global: null, per: null, least: 0, percent: false, node: false },
  concurrency: { value: true, period: null, is_global: null, per: null, least: 0, percent: false, node: false },
  exclusive: { value: false, period: false, is_global: false, per: false, least: 0, percent: false, node: true },
  maxUnavailable: { value: true, period: false, is_global: false, per: false, least: 1, percent: true, node: true },
  maxFailure: { value: true, period: true, is_global: false, per: null, least: 1, percent: false, node: false },
} as const
const RULED_KEYS = ['value', 'period', 'is_global', 'per'] as const

const constraintSchema = z
  .strictObject({
    kind,
    value: constraintValue.optional(),
    period: durationSchema({ min: '1s', max: LONGEST_PERIOD }).optional(),
    is_global: flag.optional(),
    per: z.enum(['node']).optional(),
  })
  .superRefine(
    (constraint, context) => {
      const rules = KIND_RULES[constraint.kind]
      for (const key of RULED_KEYS) {
        const given = constraint[key] !== undefined
        if (rules[key] === true && !given) {
          const message = key === 'value' ? 'is required' : `${constraint.kind} needs a ${key}`
          context.addIssue({ code: 'custom', path: [key], message, params: { missing: [key] } })
        } else if (rules[key] === false && given) {
          context.addIssue({ code: 'custom', path: [key], message: `${constraint.kind} has no ${key}` })
        }
      }
    },
    given('kind', ...RULED_KEYS),
  )
  .superRefine(
    ({ kind, value }, context) => {
      const { least, percent } = KIND_RULES[kind]
      if (typeof value === 'string' && !percent) {
        context.addIssue({ code: 'custom', path: ['value'], message: 'expected a whole number, quoted or not' })
      } else if (typeof value === 'number' && value < least) {
        context.addIssue({ code: 'custom', path: ['value'], message: `must be at least ${least}` })
      }
    },
    given('kind', 'value'),
  )
  .superRefine(
    (constraint, context) => {
      if (constraint.is_global && constraint.per !== undefined) {
        context.addIssue({ code: 'custom', path: ['per'], message: 'per and is_global exclude each other' })
      }
    },
    given('is_global', 'per'),
  )
  .transform(({ value, is_global, ...rest }) => ({
    ...rest,
    is_global: is_global ?? false,
    // Of an exclusive one nothing else may be open: less than one.
    value: value === undefined ? 1 : typeof value === 'number' ? value : Number(value.slice(0, -1)),
    ...(typeof value === 'string' ? { percent: true as const } : {}),
  }))

export const workflowSchema = z
  .strictObject({
    task_queue_target: taskQueueTarget,
    workflow_type: text
      .regex(/^[A-Za-z_$][A-Za-z0-9_$]*$/, { error: 'expected the name of an exported function' })
      .optional(),
    mode: z.enum(['auto', 'approve', 'shadow']).default('auto'),
    valid_for: durationSchema({ min: '1s', max: '1h' }).default(600_000),
    timeout: durationSchema({ min: '1s', max: '24h' }).default(3_600_000),
    workflow_queue: z.enum(['datacenter', 'target']).default('datacenter'),
    input: z.record(text, inputSchema).optional(),
    constraint: z.array(constraintSchema).default([]),
    escalation: z.strictObject({ receiver: name }).optional(),
  })
  .superRefine(
    (workflow, context) => {
      if (workflow.task_queue_target === 'node') return
      workflow.constraint.forEach((constraint, index) => {
        const issue = (key: string, what: string): void =>
          context.addIssue({
            code: 'custom',
            path: ['constraint', index, key],
            message: `${what} needs task_queue_target = "node"`,
          })
        if (constraint?.per === 'node') issue('per', 'per = "node"')
        else if (constraint !== undefined && KIND_RULES[constraint.kind]?.node === true) issue('kind', constraint.kind)
      })
    },
    given('task_queue_target', 'constraint'),
  )

/** One workflow's configuration, defaults filled in, durations in milliseconds. */
export type WorkflowConfig = z.output<typeof workflowSchema>
/** One safety limit of a workflow; `period` in milliseconds, `value` in percent of the known nodes with `percent`. */
export type Constraint = WorkflowConfig['constraint'][number]
/** One declared input field. */
export type InputField = z.output<typeof inputSchema>

// --- coordinator.hcl --------------------------------------------------------------------------------------------

const METHODS = ['*', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const routeRuleSchema = z.strictObject({
  name: text,
  method: z.enum(METHODS),
  route_patterns: z
    .array(
      text.refine(isRoutePattern, { error: 'expected a path that begins with "/"; "*" may stand for a whole segment' }),
      {
        error: 'expected a list of path patterns',
      },
    )
    .min(1, { error: 'must name at least one pattern' }),
  uris: z
    .array(
      text.refine(isCallerPattern, {
        error: 'expected a SPIFFE ID such as spiffe://example.org/admin, one that ends in "/*", or webhook:<name>',
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

/** Where a secret is: at most one of the two is given. */
const secretKeys = {
  secret_env: text
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'expected the name of an environment variable' })
    .optional(),
  secret_file: text.optional(),
}

/** Where a secret is. */
export interface SecretPlace {
  secret_env?: string | undefined
  secret_file?: string | undefined
}

function refuseTwoSecrets({ secret_env, secret_file }: SecretPlace, context: z.RefinementCtx): void {
  if (secret_env === undefined || secret_file === undefined) return
  const message = 'secret_env and secret_file exclude each other'
  context.addIssue({ code: 'custom', path: ['secret_file'], message })
}

function requireSecret({ secret_env, secret_file }: SecretPlace, context: z.RefinementCtx): void {
  if (secret_env !== undefined || secret_file !== undefined) return
  const params = { missing: ['secret_env', 'secret_file'] }
  context.addIssue({ code: 'custom', path: ['secret_env'], message: 'is required', params })
}

/** A door for signed messages. */
const webhookSchema = z
  .strictObject({ ...secretKeys, workflow: name.optional() })
  .superRefine(refuseTwoSecrets, given('secret_env', 'secret_file'))
  .superRefine(requireSecret, given('secret_env', 'secret_file'))

/** What is signed names no webhook: a message to one would be good for any other with the same secret. */
function refuseSharedSecrets(webhooks: Record<string, z.output<typeof webhookSchema>>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>()
  for (const [webhook, { secret_env, secret_file }] of Object.entries(webhooks)) {
    const key = secret_env === undefined ? 'secret_file' : 'secret_env'
    const place = `${key} ${secret_env ?? secret_file}`
    const owner = owners.get(place)
    if (owner === undefined) owners.set(place, webhook)
    else {
      const message = `is that of webhook ${owner}; each needs a secret of its own`
      context.addIssue({ code: 'custom', path: [webhook, key], message })
    }
  }
}

/** The blocks of which each receiver has exactly one. */
const RECEIVER_KINDS = ['webhook', 'alertmanager']

/** Where a human is told: with a secret, messages to a webhook are signed. */
const receiverSchema = z
  .strictObject({
    webhook: z
      .strictObject({ url: openUrl, ...secretKeys })
      .superRefine(refuseTwoSecrets, given('secret_env', 'secret_file'))
      .optional(),
    alertmanager: z.strictObject({ url: openUrl }).optional(),
  })
  .superRefine(
    ({ webhook, alertmanager }, context) => {
      const kinds = [webhook, alertmanager].filter((kind) => kind !== undefined)
      if (kinds.length === 1) return
      context.addIssue({
        code: 'custom',
        path: [],
        message: kinds.length === 0 ? 'tells nobody: it needs a block that says how' : 'has more than one block',
        params: { permitted: RECEIVER_KINDS, ...(kinds.length === 0 && { missing: RECEIVER_KINDS }) },
      })
    },
    given(...RECEIVER_KINDS),
  )

const temporalSchema = z.strictObject({
  namespace: text.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, { error: 'not a namespace name' }).default('default'),
  address: hostPort.default('127.0.0.1:7233'),
  http_url: httpUrl.default('http://127.0.0.1:7243'),
})

export const coordinatorSchema = z
  .strictObject({
    datacenter: name.optional(),
    datacenters: z.array(name, { error: 'expected a list of datacenter names' }).min(1).optional(),
    server_config: serverSchema.optional(),
    temporal: temporalSchema.prefault({}),
    webhook: z.record(name, webhookSchema).superRefine(refuseSharedSecrets).default({}),
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
          message: 'datacenter and datacenters exclude each other',
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
/** One place where a human is told; exactly one of its blocks is there. */
export type ReceiverConfig = z.output<typeof receiverSchema>
/** coordinator.hcl, defaults filled in. */
export type CoordinatorConfig = z.output<typeof coordinatorSchema>

// --- the compiled document --------------------------------------------------------------------------------------

/** What the coordinator is given: one validated, versioned document. `hash` names its content. */
export const documentSchema = z.strictObject({
  version: z.literal(CONFIG_VERSION),
  hash: text,
  /** True only when `resile dev` or `wrangler dev` compiled it: then a missing `server_config` lets every caller pass. */
  development: flag,
  coordinator: coordinatorSchema,
  workflows: z.record(name, workflowSchema),
})

/** The compiled document as it is stored and handed to the Worker. */
export type ConfigDocument = z.input<typeof documentSchema>
/** The compiled document as the coordinator uses it. */
export type Config = z.output<typeof documentSchema>

/** The datacenters that this coordinator owns, the first of them the default. */
export function datacentersOf(coordinator: {
  datacenter?: string | undefined
  datacenters?: string[] | undefined
}): string[] {
  return coordinator.datacenters ?? (coordinator.datacenter === undefined ? [] : [coordinator.datacenter])
}

/** The name of the exported workflow function: the stem in camel case (`restart-service` → `restartService`). */
export function defaultWorkflowType(workflow: string): string {
  return workflow.replace(/[._-]+(.)?/g, (_, next: string | undefined) => (next ?? '').toUpperCase())
}

// --- worker.hcl -------------------------------------------------------------------------------------------------

const commandSchema = z
  .strictObject({
    argv: z.array(text, { error: 'expected a list of arguments' }).min(1, { error: 'must name a program' }),
    timeout: durationSchema({ min: '1ms', max: '24h' }).default(30_000),
    params: z.record(text, pattern).default({}),
    read_only: flag.default(false),
  })
  .superRefine(
    (command, context) => {
      command.argv.forEach((argument, index) => {
        if (typeof argument !== 'string') return
        for (const [, parameter = ''] of argument.matchAll(/\{([A-Za-z0-9_]+)\}/g)) {
          if (Object.hasOwn(command.params, parameter)) continue
          context.addIssue({
            code: 'custom',
            path: ['argv', index],
            message: `uses {${parameter}}, which params does not declare`,
            params: { missing: ['params'] },
          })
        }
      })
    },
    given('argv', 'params'),
  )

const systemdSchema = z.strictObject({
  units: z
    .array(
      text.regex(/^[A-Za-z0-9:_.@*-]+$/, { error: 'expected the name of a unit; "*" stands for any part of one' }),
      {
        error: 'expected a list of units',
      },
    )
    .min(1, { error: 'must name at least one unit' }),
  timeout: durationSchema({ min: '1s', max: '1h' }).default(90_000),
})

const absolutePath = text.refine((value) => /^\/(?!.*(?:\/\/|\/\.\.?(?:\/|$))).+[^/]$/.test(value), {
  error: 'expected an absolute path without "//", "." and ".."',
})

const diagnosticsSchema = z.strictObject({
  commands: z.array(name, { error: 'expected a list of command names' }).default([]),
  files: z.array(absolutePath, { error: 'expected a list of files' }).default([]),
  redact: z.array(pattern, { error: 'expected a list of patterns' }).default([]),
  max_bytes: wholeNumber
    .refine((value) => value >= 1024 && value <= 64 * 1024 * 1024, { error: 'must be between 1024 and 67108864' })
    .default(8 * 1024 * 1024),
  keep: wholeNumber.refine((value) => value >= 1, { error: 'must be at least 1' }).default(10),
})

/** Directories whose content belongs to the system: nothing in them is ever removed by rule. */
const SYSTEM_DIRECTORIES =
  /^\/(?:bin|boot|dev|etc|lib\d*|proc|root|run|sbin|sys|usr|var|home|opt|srv|tmp)$|^\/(?:bin|boot|dev|etc|lib\d*|proc|sbin|sys|usr)\//

const freeDiskSchema = z.strictObject({
  paths: z
    .array(
      absolutePath.refine((value) => value.split('/').length > 2 && !SYSTEM_DIRECTORIES.test(value), {
        error: 'is too near the root, or belongs to the system',
      }),
      { error: 'expected a list of directories' },
    )
    .min(1, { error: 'must name at least one directory' }),
  pattern,
  older_than: durationSchema({ min: '1m' }),
  min_size: wholeNumber.default(0),
  keep: wholeNumber.default(0),
})

const repositorySchema = z.strictObject({
  url: text.refine(
    (value) => /^(?:https?:\/\/|ssh:\/\/|file:\/\/\/|\/|[a-z0-9_-]+@[A-Za-z0-9.-]+:)[^\s]+$/.test(value),
    {
      error: 'expected the URL or path of a git repository',
    },
  ),
  revisions: pattern.default('^(?:[0-9a-f]{40}|refs/pull/[0-9]+/(?:head|merge)|refs/merge-requests/[0-9]+/head)$'),
  tests: z
    .array(name, { error: 'expected a list of command names' })
    .min(1, { error: 'must name at least one command' }),
})

/** Names that a load balancer's own protocol takes as they are. */
const plainWord = text.regex(/^[A-Za-z0-9_.:-]+$/, { error: 'expected letters, digits, "_", ".", ":" and "-" alone' })

/** The blocks of which each load balancer has exactly one. */
const ADAPTERS = ['haproxy', 'http', 'command']

const loadBalancerSchema = z
  .strictObject({
    min_servers: wholeNumber,
    servers: z.record(text, plainWord).default({}),
    timeout: durationSchema({ min: '1ms', max: '5m' }).default(5000),
    haproxy: z
      .strictObject({
        addresses: z
          .array(
            text.refine((value) => /^unix:\/./.test(value) || isHostPort(value), {
              error: 'expected unix:/PATH or HOST:PORT',
            }),
            { error: 'expected a list of addresses' },
          )
          .min(1, { error: 'must name at least one address' }),
        backend: plainWord,
      })
      .optional(),
    http: z.strictObject({ url: openUrl, token_file: text.optional() }).optional(),
    command: z.strictObject({ list: name, drain: name, restore: name }).optional(),
  })
  .superRefine(
    (balancer, context) => {
      const adapters = [balancer.haproxy, balancer.http, balancer.command].filter((adapter) => adapter !== undefined)
      if (adapters.length === 1) return
      context.addIssue({
        code: 'custom',
        path: [],
        message: adapters.length === 0 ? 'needs an adapter' : 'has more than one adapter',
        params: { permitted: ADAPTERS, ...(adapters.length === 0 && { missing: ADAPTERS }) },
      })
    },
    given(...ADAPTERS),
  )

export const workerSchema = z.strictObject({
  node: name,
  datacenter: name,
  types: z.array(name, { error: 'expected a list of node types' }).default([]),
  labels: z.record(text, z.string({ error: 'expected a quoted string' })).default({}),
  coordinator: z
    .strictObject({
      url: httpUrl,
      ca_file: text.optional(),
      cert_file: text.optional(),
      key_file: text.optional(),
    })
    .superRefine(
      ({ cert_file, key_file }, context) => {
        if ((cert_file === undefined) === (key_file === undefined)) return
        const missing = cert_file === undefined ? 'cert_file' : 'key_file'
        context.addIssue({
          code: 'custom',
          path: [missing],
          message: 'cert_file and key_file go together',
          params: { missing: [missing] },
        })
      },
      given('cert_file', 'key_file'),
    )
    .optional(),
  permits: z
    .strictObject({
      jwks_urls: z.array(httpUrl, { error: 'expected a list of URLs' }).default([]),
      jwks_files: z.array(text, { error: 'expected a list of files' }).default([]),
    })
    .prefault({}),
  metrics: z.strictObject({ listen: localDoor }).optional(),
  boot_id_file: text.optional(),
  temporal: z
    .strictObject({
      address: hostPort.default('127.0.0.1:7233'),
      namespace: temporalSchema.shape.namespace,
    })
    .prefault({}),
  command: z.record(name, commandSchema).default({}),
  load_balancer: z.record(name, loadBalancerSchema).default({}),
  systemd: systemdSchema.optional(),
  diagnostics: diagnosticsSchema.optional(),
  free_disk: z.record(name, freeDiskSchema).default({}),
  repository: z.record(name, repositorySchema).default({}),
})

/** worker.hcl, defaults filled in, durations in milliseconds. */
export type WorkerConfig = z.output<typeof workerSchema>
/** One allow-listed command of a host. */
export type CommandConfig = WorkerConfig['command'][string]
/** What a host may put into a bundle of diagnostics. */
export type DiagnosticsConfig = NonNullable<WorkerConfig['diagnostics']>
/** Which files may be removed; `older_than` in milliseconds. */
export type FreeDiskRule = WorkerConfig['free_disk'][string]
/** A repository whose revisions may be tested. */
export type RepositoryConfig = WorkerConfig['repository'][string]
/** One pool of servers, and how its load balancer is spoken to. */
export type LoadBalancerConfig = WorkerConfig['load_balancer'][string]

// --- detectors.hcl ----------------------------------------------------------------------------------------------

const checkTimeout = durationSchema({ min: '1ms', max: '5m' }).default(5000)

const httpCheckSchema = z.strictObject({
  url: httpUrl,
  timeout: checkTimeout,
  expect_status: wholeNumber
    .refine((value) => value >= 100 && value <= 599, { error: 'expected an HTTP status' })
    .default(200),
})

const prometheusSchema = z.strictObject({ url: httpUrl, query: text, timeout: checkTimeout })

/** Text that may hold `${labels.x}`, `${annotations.x}` and `${value}`; the compiler refuses every other expression. */
const templatedName = z
  .string({ error: 'expected a quoted string' })
  .refine((value) => /(?<!\$)\$\{/.test(value) || isName(value), { error: `not a name: ${NAME_RULE}` })

/** The blocks of which each detector has exactly one. */
const SOURCES = ['http_check', 'prometheus']

const detectorSchema = z
  .strictObject({
    workflow: name,
    interval: durationSchema({ min: '100ms', max: '24h' }),
    for: durationSchema({ max: '24h' }).default(0),
    clear_for: durationSchema({ max: '24h' }).default(0),
    repeat_after: durationSchema({ min: '1s' }).optional(),
    target: z
      .strictObject({
        node: templatedName.optional(),
        node_type: templatedName.optional(),
        datacenter: templatedName.optional(),
      })
      .optional(),
    input: z.record(z.string(), z.unknown()).optional(),
    http_check: httpCheckSchema.optional(),
    prometheus: prometheusSchema.optional(),
  })
  .superRefine(
    (detector, context) => {
      const sources = [detector.http_check, detector.prometheus].filter((source) => source !== undefined)
      if (sources.length === 1) return
      context.addIssue({
        code: 'custom',
        path: [],
        message: sources.length === 0 ? 'needs a source' : 'has more than one source',
        params: { permitted: SOURCES, ...(sources.length === 0 && { missing: SOURCES }) },
      })
    },
    given(...SOURCES),
  )

export const detectorsSchema = z.strictObject({ detector: z.record(name, detectorSchema).default({}) })

/** One detector, defaults filled in, durations in milliseconds. */
export type DetectorConfig = z.output<typeof detectorSchema>

// --- readers -----------------------------------------------------------------------------------------------------

function toWholeNumber(value: string | number, context: z.RefinementCtx): number {
  const number = typeof value === 'string' && !/^\d+$/.test(value) ? null : Number(value)
  if (number !== null && Number.isSafeInteger(number) && number >= 0) return number
  const message = number === null ? 'expected a whole number, quoted or not' : 'expected a whole number of 0 or more'
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

// --- predicates -------------------------------------------------------------------------------------------------

function isLinearPattern(value: string): boolean {
  try {
    RE2JS.compile(value)
    return true
  } catch {
    return false
  }
}

function isHttpUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : null
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}

function hasNoUser(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : null
  return url === null || (url.username === '' && url.password === '')
}

function isHostPort(value: string): boolean {
  const port = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(value)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

function isRoutePattern(value: string): boolean {
  return /^(?:\/|(?:\/(?:\*|[^\s?#*/]+))+\/?)$/.test(value)
}

/** A SPIFFE ID, one with `/*` for all below it, or the identity of a webhook. */
function isCallerPattern(value: string): boolean {
  if (value.startsWith('webhook:')) return isName(value.slice('webhook:'.length))
  return isSpiffeId(value.replace(/\/\*$/, ''))
}

function isWorkerIdPattern(value: string): boolean {
  return (
    value.split('/').filter((segment) => segment === '{node}').length === 1 &&
    isSpiffeId(value.replace('{node}', 'node'))
  )
}

/** The input type (as {@link InputField} names it) of a JSON value, or null for arrays and null. */
export function typeOf(value: unknown): InputField['type'] | null {
  if (typeof value === 'string' || typeof value === 'number') return typeof value as 'string' | 'number'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? 'object' : null
}
