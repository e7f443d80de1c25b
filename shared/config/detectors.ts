/** detectors.hcl */
import { z } from 'zod'
import { durationSchema } from '../duration-schema.ts'
import { isName, NAME_RULE } from '../names.ts'
import { baseUrl, environmentVariable, given, hostPort, name, openUrl, pattern, text, wholeNumber } from './fields.ts'

const checkTimeout = durationSchema({ min: '1ms', max: '5m' }).default(5000)

const httpCheckSchema = z.strictObject({
  url: openUrl,
  ca_file: text.optional(),
  timeout: checkTimeout,
  expect_status: wholeNumber
    .refine((value) => value >= 100 && value <= 599, { error: 'expected an HTTP status' })
    .default(200),
})

const tcpCheckSchema = z.strictObject({ address: hostPort, timeout: checkTimeout })

const commandCheckSchema = z.strictObject({
  argv: z.array(text, { error: 'expected a list of arguments' }).min(1, { error: 'must name a program' }),
  timeout: checkTimeout,
})

/** Pairs of mutually exclusive keys. */
const EXCLUSIVE = [
  ['url', 'urls'],
  ['bearer_token_env', 'bearer_token_file'],
  ['password_env', 'password_file'],
] as const

const prometheusSchema = z
  .strictObject({
    url: baseUrl.optional(),
    urls: z
      .array(baseUrl, { error: 'expected a list of URLs' })
      .min(1, { error: 'must name at least one URL' })
      .optional(),
    query: text,
    timeout: checkTimeout,
    max_series: wholeNumber
      .refine((value) => value >= 1 && value <= 1000, { error: 'must be between 1 and 1000' })
      .default(1000),
    bearer_token_env: environmentVariable.optional(),
    bearer_token_file: text.optional(),
    username: text.optional(),
    password_env: environmentVariable.optional(),
    password_file: text.optional(),
    ca_file: text.optional(),
    cert_file: text.optional(),
    key_file: text.optional(),
  })
  .superRefine(
    (prometheus, context) => {
      const has = (key: keyof typeof prometheus): boolean => prometheus[key] !== undefined
      const issue = (key: string, message: string, missing: string[] = []): void =>
        context.addIssue({ code: 'custom', path: [key], message, params: { missing } })
      for (const [first, second] of EXCLUSIVE) {
        if (has(first) && has(second)) issue(second, `${first} and ${second} are mutually exclusive`)
      }
      if (!has('url') && !has('urls')) issue('url', 'is required', ['url', 'urls'])
      const hasPassword = has('password_env') || has('password_file')
      if (has('username') && !hasPassword) issue('username', 'needs a password', ['password_env', 'password_file'])
      if (hasPassword && !has('username')) issue('username', 'is required with a password', ['username'])
      if (hasPassword && (has('bearer_token_env') || has('bearer_token_file'))) {
        issue('username', 'a password and a bearer token are mutually exclusive')
      }
      if (has('cert_file') !== has('key_file')) {
        const missing = has('cert_file') ? 'key_file' : 'cert_file'
        issue(missing, 'cert_file and key_file go together', [missing])
      }
    },
    given('url', 'urls', 'username', 'cert_file', 'key_file'),
  )
  .transform(({ url, urls, ...rest }) => ({ ...rest, urls: urls ?? (url === undefined ? [] : [url]) }))

const absolutePath = text.regex(/^\//, { error: 'expected an absolute path' })

/** How many matches within how long make a condition of what is read line by line. */
const matching = {
  pattern,
  count: wholeNumber
    .refine((value) => value >= 1 && value <= 100_000, { error: 'must be between 1 and 100000' })
    .default(1),
  within: durationSchema({ min: '1s', max: '24h' }).default(60_000),
}

const logSchema = z.strictObject({
  files: z.array(absolutePath, { error: 'expected a list of files' }).min(1, { error: 'must name at least one file' }),
  ...matching,
  from: z.enum(['end', 'beginning']).default('end'),
})

const journalSchema = z
  .strictObject({
    units: z
      .array(text.regex(/^[A-Za-z0-9:_.@*\\-]+$/, { error: 'expected the name of a unit' }), {
        error: 'expected a list of units',
      })
      .default([]),
    identifiers: z.array(text, { error: 'expected a list of identifiers' }).default([]),
    kernel: z.boolean({ error: 'expected true or false' }).default(false),
    fields: z
      .record(text.regex(/^[A-Z_][A-Z0-9_]{0,63}$/, { error: 'expected the name of a journal field' }), text)
      .default({}),
    directory: absolutePath.optional(),
    ...matching,
  })
  .superRefine(
    ({ units, kernel }, context) => {
      if (!kernel || units.length === 0) return
      context.addIssue({
        code: 'custom',
        path: ['kernel'],
        message: 'kernel and units are mutually exclusive: kernel messages belong to no unit',
      })
    },
    given('units', 'kernel'),
  )

const scheduleSchema = z.strictObject({
  cron: text,
  time_zone: text.refine(isTimeZone, { error: 'expected a time zone such as Europe/Berlin' }).default('UTC'),
  missed: z.enum(['skip', 'once']).default('skip'),
  retry_for: durationSchema({ max: '24h' }).default(600_000),
})

const alertSchema = z.strictObject({
  labels: z
    .record(text, z.string({ error: 'expected a quoted string' }))
    .refine((labels) => Object.keys(labels).length > 0, { error: 'must name at least one label' }),
})

const pagerdutySchema = z.strictObject({
  event_types: z
    .array(text, { error: 'expected a list of event types' })
    .min(1, { error: 'must name at least one event type' })
    .default(['incident.triggered']),
  services: z.array(text, { error: 'expected a list of service ids' }).default([]),
  title: pattern.optional(),
})

const cloudeventSchema = z.strictObject({ type: text, source: text.optional() })

/** Text that may hold `${labels.x}`, `${annotations.x}` and `${value}`; the compiler refuses every other expression. */
const templatedName = z
  .string({ error: 'expected a quoted string' })
  .refine((value) => /(?<!\$)\$\{/.test(value) || isName(value), { error: `not a name: ${NAME_RULE}` })

/** Sources that the detector daemon polls. */
const POLLED = ['http_check', 'prometheus', 'tcp_check', 'command_check'] as const
/** Sources that the detector daemon reads as they grow. */
const FOLLOWED = ['log', 'journal'] as const
/** Sources whose signals are pushed to the coordinator. */
const PUSHED = ['alert', 'pagerduty', 'cloudevent'] as const
/** Each detector has exactly one of these blocks. */
export const SOURCES = [...POLLED, ...FOLLOWED, 'schedule', ...PUSHED] as const

/** The kind of a detector's source. */
export type SourceKind = (typeof SOURCES)[number]
export type PushedSourceKind = (typeof PUSHED)[number]

/** The keys of a detector that say when, and how often, it triggers. */
const TIMING = ['interval', 'jitter', 'for', 'clear_for', 'repeat_after'] as const
/** How often growing files are polled. */
const FOLLOW_INTERVAL_MS = 1000

const detectorSchema = z
  .strictObject({
    workflow: name,
    interval: durationSchema({ min: '100ms', max: '24h' }).optional(),
    jitter: durationSchema({ max: '24h' }).optional(),
    for: durationSchema({ max: '24h' }).optional(),
    clear_for: durationSchema({ max: '24h' }).optional(),
    repeat_after: durationSchema({ min: '1s' }).optional(),
    limit: z
      .strictObject({
        triggers: wholeNumber.refine((value) => value >= 1, { error: 'must be at least 1' }),
        per: durationSchema({ min: '1s', max: '24h' }),
      })
      .optional(),
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
    tcp_check: tcpCheckSchema.optional(),
    command_check: commandCheckSchema.optional(),
    log: logSchema.optional(),
    journal: journalSchema.optional(),
    schedule: scheduleSchema.optional(),
    alert: alertSchema.optional(),
    pagerduty: pagerdutySchema.optional(),
    cloudevent: cloudeventSchema.optional(),
  })
  .superRefine(
    (detector, context) => {
      const sources = SOURCES.filter((source) => detector[source] !== undefined)
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
  .superRefine(
    (detector, context) => {
      const source = SOURCES.find((kind) => detector[kind] !== undefined)
      if (source === undefined) return
      if (isOneOf(POLLED, source) && detector.interval === undefined) {
        context.addIssue({
          code: 'custom',
          path: ['interval'],
          message: 'is required',
          params: { missing: ['interval'] },
        })
      }
      const useless = isOneOf(PUSHED, source) ? [...TIMING, 'limit'] : source === 'schedule' ? TIMING : []
      for (const key of useless) {
        if (Reflect.get(detector, key) === undefined) continue
        context.addIssue({ code: 'custom', path: [key], message: `a detector with ${source} has no ${key}` })
      }
    },
    given(...SOURCES, ...TIMING),
  )
  .transform(({ interval = FOLLOW_INTERVAL_MS, jitter, for: holds = 0, clear_for = 0, ...rest }) => ({
    ...rest,
    interval,
    // So that hundreds of them don't look all at once.
    jitter: jitter ?? Math.floor(interval / 10),
    for: holds,
    clear_for,
  }))

export const detectorsSchema = z.strictObject({ detector: z.record(name, detectorSchema).default({}) })

/** One detector, defaults filled in, durations in milliseconds. Exactly one of its sources is there. */
export type DetectorConfig = z.output<typeof detectorSchema>
/** How a Prometheus is asked; `urls` in the order in which they are tried. */
export type PrometheusConfig = NonNullable<DetectorConfig['prometheus']>
/** Which lines of which files are counted. */
export type LogConfig = NonNullable<DetectorConfig['log']>
/** Which entries of the journal are counted. */
export type JournalConfig = NonNullable<DetectorConfig['journal']>
/** When a schedule fires. */
export type ScheduleConfig = NonNullable<DetectorConfig['schedule']>

/** The detectors whose signals are pushed: the coordinator gets them, the daemon ignores them. */
export const pushDetectorsSchema = z.record(name, detectorSchema)

/** The kind of a detector's source. */
export function sourceOf(detector: Partial<Record<SourceKind, unknown>>): SourceKind {
  // The schema has seen to it that there is one.
  return SOURCES.find((kind) => detector[kind] !== undefined) ?? 'prometheus'
}

/** Whether a detector's signals are pushed to the coordinator, rather than polled by the daemon. */
export function isPushed(detector: Partial<Record<SourceKind, unknown>>): boolean {
  return isOneOf(PUSHED, sourceOf(detector))
}

function isOneOf(kinds: readonly SourceKind[], kind: SourceKind): boolean {
  return kinds.includes(kind)
}

function isTimeZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
