/** workflows/<name>.hcl */
import { z } from 'zod'
import { durationSchema } from '../duration-schema.ts'
import { isName } from '../names.ts'
import { flag, given, name, numberOrText, text, toWholeNumber } from './fields.ts'
import { inputSchema } from './input.ts'

/** The longest window, for which rows are kept. */
const MAX_PERIOD = '744h'
/** The same in milliseconds. */
export const MAX_PERIOD_MS = 744 * 3_600_000

const targetPattern = /^(?:node|datacenter|node_type(?::(.+))?)$/

/** Where a workflow's work is done: `node`, `node_type`, `node_type:<type>` or `datacenter`. */
const taskQueueTarget = z.string({ error: 'expected a quoted string' }).refine(
  (value) => {
    const match = targetPattern.exec(value)
    return match !== null && (match[1] === undefined || isName(match[1]))
  },
  { error: 'unknown target', params: { permitted: ['node', 'node_type', 'node_type:<type>', 'datacenter'] } },
)

/** A whole number, or a share of the known nodes such as "10%", which stays a text. */
const constraintValue = numberOrText.transform((value, context) =>
  typeof value === 'string' && /^(?:[1-9]\d?|100)%$/.test(value) ? value : toWholeNumber(value, context),
)

/** The kinds of constraint, as receipts name them. */
export const CONSTRAINT_KINDS = ['maxExecution', 'concurrency', 'exclusive', 'maxUnavailable', 'maxFailure'] as const

/** The article that Resile implements spells one kind "concurency"; both are read. */
const kind = z
  .enum([...CONSTRAINT_KINDS, 'concurency'])
  .transform((value) => (value === 'concurency' ? 'concurrency' : value))

/** Whether a kind requires (true), permits (null) or refuses (false) a key beside `kind`, and its least value. */
export const KIND_RULES = {
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
    period: durationSchema({ min: '1s', max: MAX_PERIOD }).optional(),
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
        context.addIssue({ code: 'custom', path: ['per'], message: 'per and is_global are mutually exclusive' })
      }
    },
    given('is_global', 'per'),
  )
  .transform(({ value, is_global, ...rest }) => ({
    ...rest,
    is_global: is_global ?? false,
    // A kind without a `value` has the limit 1.
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

/** The name of the exported workflow function: the stem in camel case (`restart-service` → `restartService`). */
export function defaultWorkflowType(workflow: string): string {
  return workflow.replace(/[._-]+(.)?/g, (_, next: string | undefined) => (next ?? '').toUpperCase())
}
