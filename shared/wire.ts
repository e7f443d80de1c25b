/** The wire format: request bodies, decisions, executions, nodes, problems. Schemas for input, types for all. */
import { z } from 'zod'
import { CONSTRAINT_KINDS } from './config.ts'
import { durationSchema } from './duration-schema.ts'
import { isName, NAME_RULE } from './names.ts'

const json = z.record(z.string(), z.unknown())

/** The target of a trigger. Which keys are required depends on the workflow's `task_queue_target`. */
const targetSchema = z.strictObject({
  node: z.string().optional(),
  node_type: z.string().optional(),
  datacenter: z.string().optional(),
})

/** Body of `POST /v1/workflows/{workflow}/executions`. */
export const startSchema = z.strictObject({
  target: targetSchema.optional(),
  input: json.optional(),
  reason: z.string().optional(),
  trigger: z
    .strictObject({
      source: z.string().optional(),
      name: z.string().optional(),
      fingerprint: z.string().optional(),
    })
    .optional(),
  valid_for: durationSchema({ min: '1ms' }).optional(),
})

/** A webhook's message: as a start, plus the workflow where the webhook's own configuration names none. */
export const webhookSchema = startSchema.extend({
  workflow: z
    .string()
    .refine(isName, { error: `not a name: ${NAME_RULE}` })
    .optional(),
})

/**
 * The same as the payload that Standard Webhooks recommends.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
 */
export const webhookEnvelopeSchema = z.strictObject({
  type: z.string().optional(),
  timestamp: z.iso.datetime({ offset: true }).optional(),
  data: webhookSchema,
})

/** Body of `POST /v1/workflows/{workflow}/evaluate`: as a start, plus the time to answer for. */
export const evaluateSchema = startSchema.extend({ at: z.iso.datetime({ offset: true }).optional() })

/** Body of `POST /v1/executions/{id}/cancel`. */
export const cancelSchema = z.strictObject({ reason: z.string().optional() })

/** Body of `POST /v1/executions/{id}/approve` and `/reject`. */
export const approvalSchema = z.strictObject({ reason: z.string().optional() })

/** The statuses that an operator can settle a lost execution as. */
export const SETTLED_STATUSES = ['completed', 'failed', 'timed_out', 'canceled', 'terminated'] as const

/** Body of `POST /v1/executions/{id}/settle`. */
export const settleSchema = z.strictObject({ status: z.enum(SETTLED_STATUSES), reason: z.string().min(1) })

/** Body of `POST /v1/workflows/{workflow}/reset`. */
export const resetSchema = z.strictObject({ reason: z.string().min(1), node: z.string().optional() })

/** What a freeze covers: everything that matches all of its keys; without any, everything. */
const freezeScopeSchema = z.strictObject({
  workflow: z.string().optional(),
  datacenter: z.string().optional(),
  node: z.string().optional(),
})

/** Body of `POST /v1/freezes`. */
export const freezeSchema = z
  .strictObject({
    scope: freezeScopeSchema,
    reason: z.string().min(1),
    for: durationSchema({ min: '1s', max: '87600h' }).optional(),
    expires_at: z.iso.datetime({ offset: true }).optional(),
  })
  .refine((body) => body.for === undefined || body.expires_at === undefined, {
    path: ['expires_at'],
    error: 'for and expires_at are mutually exclusive',
  })

const time = z.iso.datetime()
const nullableTime = time.nullable()
const count = z.number().int().min(0)

/** One episode of a signal, as its detector or the endpoint that received it reports it. */
const signalEpisodeSchema = z.strictObject({
  /** The kind of source: `prometheus`, `log`, `alertmanager`, … */
  source: z.string().min(1).max(64),
  /** Of the detector, or of what replaces one. */
  name: z.string().min(1).max(255),
  workflow: z.string().max(63),
  fingerprint: z.string().min(1).max(255),
  began: time,
  /** Null while it lasts. */
  ended: nullableTime,
  /** Triggers that were admitted, and answers that weren't. */
  admitted: count,
  denied: count,
  /** Why the last one was denied. */
  code: z.string().max(64).nullable(),
  executions: z.array(z.uuid()).max(10),
})

/** Body of `POST /v1/signals`. */
export const signalReportSchema = z.strictObject({ episodes: z.array(signalEpisodeSchema).max(200) })

/** Every status an execution can have. */
export const EXECUTION_STATUSES = [
  'awaiting_approval',
  'pending',
  'running',
  'completed',
  'failed',
  'timed_out',
  'canceled',
  'terminated',
  'expired',
  'rejected',
  'shadowed',
  'lost',
] as const

/** The statuses that are escalated; an execution can leave the last three again. */
export const ESCALATED_STATUSES = [
  'failed',
  'timed_out',
  'terminated',
  'expired',
  'lost',
  'stuck',
  'awaiting_approval',
] as const

/** Every outcome of a decision. */
export const OUTCOMES = ['admitted', 'denied', 'shadowed', 'awaiting_approval'] as const

const receiptSchema = z.strictObject({
  kind: z.enum(CONSTRAINT_KINDS),
  scope: z.enum(['datacenter', 'global', 'node', 'node_type']),
  key: z.string(),
  limit: z.number(),
  period: z.string().nullable(),
  used: z.number(),
  allowed: z.boolean(),
  allowed_at: nullableTime,
  binding: z.boolean(),
})

/** The recorded answer to one trigger, with its receipt. `id` is null in answers of `evaluate`. */
/** Which configuration it was: the hash of its content, and when a coordinator in a datacenter read it. */
export const configIdentitySchema = z.strictObject({ hash: z.string(), loaded_at: nullableTime })

export const decisionSchema = z.strictObject({
  id: z.uuid().nullable(),
  at: time,
  workflow: z.string(),
  datacenter: z.string(),
  outcome: z.enum(OUTCOMES),
  code: z.string().nullable(),
  caller: z.string(),
  trigger: startSchema.shape.trigger.unwrap().nullable(),
  target: targetSchema,
  task_queue: z.string(),
  reason: z.string().nullable(),
  allowed_at: nullableTime,
  freeze: z.string().nullable(),
  constraints: z.array(receiptSchema),
  /** By which it was made; absent on a decision of an older version. */
  config: configIdentitySchema.optional(),
  /** Only on a decision that repeated triggers are counted on: how many, and when the last one was received. */
  repeated: z.strictObject({ count: z.number(), until: time }).optional(),
  /** Only of an execution that an operator approved. */
  approval: z.strictObject({ at: time, caller: z.string(), reason: z.string().nullable() }).optional(),
})

/** Why an execution ended badly, or never started. */
const executionErrorSchema = z.looseObject({ type: z.string(), message: z.string() })

/**
 * One run of a workflow; `id` is the id of the decision that admitted it, null (with `admitted_at`) when it was started
 * without the coordinator.
 */
export const executionSchema = z.strictObject({
  id: z.uuid().nullable(),
  workflow: z.string(),
  workflow_id: z.string(),
  run_id: z.string().nullable(),
  datacenter: z.string(),
  task_queue: z.string(),
  target: targetSchema,
  status: z.enum(EXECUTION_STATUSES),
  result: z.unknown(),
  error: executionErrorSchema.nullable(),
  admitted_at: nullableTime,
  started_at: nullableTime,
  closed_at: nullableTime,
})

/** One activity of an execution. */
const stepSchema = z.strictObject({
  activity: z.string(),
  /** The subject: the name of a command, a URL, a pool. */
  subject: z.string().nullable(),
  status: z.enum(['running', 'completed', 'failed', 'timed_out', 'canceled']),
  attempts: count,
  /** When it was scheduled. */
  started_at: time,
  ended_at: nullableTime,
  /** Why it failed, or its last attempt did. */
  failure: z.string().nullable(),
  /** Of a command that it ran, as soon as that has ended. */
  exit_code: z.number().int().nullable(),
  /** While it runs: what it waits for, such as the change of another execution on its host. */
  waiting_for: z.string().nullable(),
})

/** An execution and what it has done so far; null when Temporal doesn't say. */
export const stepsSchema = z.strictObject({ execution: executionSchema, steps: z.array(stepSchema).nullable() })

/** An escalation: the body of a message to a receiver. */
export const escalationSchema = z.strictObject({
  type: z.enum(ESCALATED_STATUSES.map((status) => `execution.${status}` as const)),
  /** Of the message: the same in each attempt to deliver it. */
  id: z.string(),
  /** Since when it is so. */
  at: time,
  /** The whole in one line. */
  summary: z.string(),
  workflow: z.string(),
  datacenter: z.string(),
  execution: executionSchema,
  /** Null for an execution whose decision was lost with a disk. */
  decision: decisionSchema.nullable(),
  /** Scopes (WORKFLOW or WORKFLOW@NODE) whose `maxFailure` this end has tripped. */
  tripped: z.array(z.string()),
})

/** A time in which nothing that it covers is started. */
export const freezeAnswerSchema = z.strictObject({
  id: z.uuid(),
  scope: freezeScopeSchema,
  reason: z.string(),
  caller: z.string(),
  created_at: time,
  expires_at: nullableTime,
})

/** One live node and what its worker registered. */
export const nodeSchema = z.strictObject({
  node: z.string(),
  datacenter: z.string(),
  types: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  build_id: z.string().nullable(),
  /** Of Resile on the node; null when it does not say. */
  version: z.string().nullable(),
  /** Whether that is older than the coordinator's. */
  outdated: z.boolean(),
  boot_id: z.string().nullable(),
  draining: z.boolean(),
  queues: z.array(
    z.strictObject({
      name: z.string(),
      workflow_types: z.array(z.string()),
      activity_types: z.array(z.string()),
    }),
  ),
  last_seen_at: time,
})

/** The outcomes of a signal's episodes within some time; an episode may be counted in several. */
const signalCountsSchema = z.strictObject({
  /** That began in it. */
  fired: count,
  /** With a trigger that was admitted, */
  admitted: count,
  /** with one that was denied. */
  denied: count,
  /** All executions completed, the condition went, and did not come back within ten minutes. */
  helped: count,
  /** That began within ten minutes after the same condition had gone. */
  flapped: count,
  /** Of which nothing came: denied, held back, shadowed, or waiting for approval. */
  never_acted_on: count,
  /** That last. */
  open: count,
})

/** The effectiveness of one signal. */
export const signalSchema = z.strictObject({
  source: z.string(),
  name: z.string(),
  workflow: z.string(),
  last_fired_at: time,
  windows: z.strictObject({ '1d': signalCountsSchema, '7d': signalCountsSchema, '30d': signalCountsSchema }),
})

/** The outcome of one start that a signal requested, or of a signal that requests none. */
export const triggerItemSchema = z.strictObject({
  /** The sender's identity of the signal. */
  fingerprint: z.string(),
  /** As the sender says: `firing` or `resolved` of an alert, the type of an event. */
  status: z.string(),
  detector: z.string().nullable(),
  workflow: z.string().nullable(),
  /**
   * A decision's; `undecided` when there is none yet, `refused` for what can't be started; `resolved` and `ignored` for
   * a signal that requests nothing.
   */
  outcome: z.enum([...OUTCOMES, 'undecided', 'refused', 'resolved', 'ignored']),
  /** Of the problem, null when there is none. */
  code: z.string().nullable(),
  detail: z.string().nullable(),
  /** Their ids. */
  decision: z.uuid().nullable(),
  execution: z.uuid().nullable(),
  /** Whether it may pass when the signal is sent again. */
  retry: z.boolean(),
})

/** The answer to signals. */
export const triggerItemsSchema = z.strictObject({
  items: z.array(triggerItemSchema),
  /** Only of a group of alerts that its sender cut: how many are missing. */
  truncated_alerts: z.number().optional(),
})

/** RFC 9457 problem document. */
export const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
  /** Of a 503 whose outcome is unknown: only the id, by which it can be asked for. */
  decision: z.union([decisionSchema, z.strictObject({ id: z.uuid() })]).optional(),
  /** Only of signals that are to be sent again: what came of each. */
  ...triggerItemsSchema.partial().shape,
})

/** A trigger's target, as it was routed. */
export type Target = z.output<typeof targetSchema>
/** Body of a start, validated; `valid_for` in milliseconds. */
export type StartBody = z.output<typeof startSchema>
/** Where a trigger came from. */
export type TriggerMetadata = NonNullable<StartBody['trigger']>
/** One heartbeat, validated. */
export type Decision = z.output<typeof decisionSchema>
export type Execution = z.output<typeof executionSchema>
export type Step = z.output<typeof stepSchema>
export type ExecutionStatus = Execution['status']
export type ExecutionError = z.output<typeof executionErrorSchema>
/** A status that is escalated. */
export type EscalatedStatus = (typeof ESCALATED_STATUSES)[number]
export type Escalation = z.output<typeof escalationSchema>
/** One time that a condition held; times as RFC 3339. */
export type SignalEpisode = z.output<typeof signalEpisodeSchema>
export type SignalCounts = z.output<typeof signalCountsSchema>
export type SignalSummary = z.output<typeof signalSchema>
export type Freeze = z.output<typeof freezeAnswerSchema>
export type LiveNode = z.output<typeof nodeSchema>
/** The outcome of one requested start. */
export type TriggerItem = z.output<typeof triggerItemSchema>
/** The answer to signals. */
export type TriggerItems = z.output<typeof triggerItemsSchema>
export type Problem = z.output<typeof problemSchema>
/** One page of a list. */
export interface Page<Item> {
  items: Item[]
  next_cursor: string | null
}
