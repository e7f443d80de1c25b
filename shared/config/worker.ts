/** worker.hcl */
import { z } from 'zod'
import { durationSchema } from '../duration-schema.ts'
import {
  checkHost,
  flag,
  given,
  httpUrl,
  isHostPort,
  localListener,
  name,
  openUrl,
  pattern,
  refuseExposedUrls,
  refuseHalfPair,
  text,
  wholeNumber,
} from './fields.ts'
import { workerTemporalSchema } from './temporal.ts'

/** The workflows that may run a command. */
const workflowNames = z.array(name, { error: 'expected a list of workflows' })

const commandSchema = z
  .strictObject({
    argv: z.array(text, { error: 'expected a list of arguments' }).min(1, { error: 'must name a program' }),
    timeout: durationSchema({ min: '1ms', max: '24h' }).default(30_000),
    params: z.record(text, pattern).default({}),
    read_only: flag.default(false),
    allow_options: flag.default(false),
    workflows: workflowNames.optional(),
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
  .superRefine(
    ({ read_only, workflows }, context) => {
      if (!read_only || workflows === undefined) return
      context.addIssue({
        code: 'custom',
        path: ['workflows'],
        message: 'a read_only command needs no permit, so any workflow can run it: remove workflows or read_only',
      })
    },
    given('read_only', 'workflows'),
  )

const systemdSchema = z.strictObject({
  units: z
    .array(text.regex(/^[A-Za-z0-9:_.@*\\-]+$/, { error: 'expected the name of a unit; "*" matches any part of it' }), {
      error: 'expected a list of units',
    })
    .min(1, { error: 'must name at least one unit' }),
  timeout: durationSchema({ min: '1s', max: '1h' }).default(90_000),
  workflows: workflowNames.default(['restart-service']),
})

const absolutePath = text.refine((value) => /^\/(?!.*(?:\/\/|\/\.\.?(?:\/|$))).+[^/]$/.test(value), {
  error: 'expected an absolute path without "//", "." and ".."',
})

const checksSchema = z.strictObject({
  hosts: z.array(checkHost, { error: 'expected a list of hosts' }).default([]),
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

/** Directories whose content belongs to the system: no rule may remove anything in them. */
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

/** Each load balancer has exactly one of these blocks. */
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
      plaintext: flag.default(false),
    })
    .superRefine(...refuseHalfPair('cert_file', 'key_file'))
    .superRefine(...refuseExposedUrls('coordinator', 'url'))
    .optional(),
  permits: z
    .strictObject({
      jwks_urls: z.array(httpUrl, { error: 'expected a list of URLs' }).default([]),
      jwks_files: z.array(text, { error: 'expected a list of files' }).default([]),
      plaintext: flag.default(false),
    })
    .superRefine(...refuseExposedUrls('permits', 'jwks_urls'))
    .prefault({}),
  metrics: z.strictObject({ listen: localListener }).optional(),
  boot_id_file: text.optional(),
  temporal: workerTemporalSchema.prefault({}),
  command: z.record(name, commandSchema).default({}),
  load_balancer: z.record(name, loadBalancerSchema).default({}),
  systemd: systemdSchema.optional(),
  checks: checksSchema.prefault({}),
  diagnostics: diagnosticsSchema.optional(),
  free_disk: z.record(name, freeDiskSchema).default({}),
  repository: z.record(name, repositorySchema).default({}),
})

/** worker.hcl, defaults filled in, durations in milliseconds. */
export type WorkerConfig = z.output<typeof workerSchema>
/** One allow-listed command of a host. */
export type CommandConfig = WorkerConfig['command'][string]
/** What a bundle of diagnostics of a host contains. */
export type DiagnosticsConfig = NonNullable<WorkerConfig['diagnostics']>
/** Which files may be removed; `older_than` in milliseconds. */
export type FreeDiskRule = WorkerConfig['free_disk'][string]
/** A repository whose revisions may be tested. */
export type RepositoryConfig = WorkerConfig['repository'][string]
/** One pool of servers, and how to reach its load balancer. */
export type LoadBalancerConfig = WorkerConfig['load_balancer'][string]
