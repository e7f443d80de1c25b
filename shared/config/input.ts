/** The `input` blocks of workflows/<name>.hcl: the fields of a workflow's input, and theirs. */
import { z } from 'zod'
import { checkFields, type InputField, isOfType } from '../input.ts'
import { checkHost, flag, given, pattern, text } from './fields.ts'

/** How deep fields may be nested in the configuration. */
const MAX_DEPTH = 4

/** The types that a key is for. */
const TYPE_OF_KEY = { pattern: 'string', one_of: 'string', hosts: 'url', values: 'object', field: 'object' } as const
const TYPED_KEYS = ['pattern', 'one_of', 'hosts', 'values', 'field'] as const

/** One declared field of a workflow's input. */
export const inputSchema = fieldSchema(0)

function fieldSchema(depth: number): z.ZodType<InputField> {
  return z
    .strictObject({
      type: z.enum(['string', 'url', 'number', 'bool', 'object']),
      required: flag.default(false),
      default: z.unknown().optional(),
      pattern: pattern.optional(),
      one_of: z.array(text, { error: 'expected a list of strings' }).min(1, { error: 'must not be empty' }).optional(),
      hosts: z
        .array(checkHost, { error: 'expected a list of hosts' })
        .min(1, { error: 'must not be empty' })
        .optional(),
      values: z.enum(['string', 'number', 'bool']).optional(),
      field:
        depth < MAX_DEPTH
          ? z.record(text, fieldSchema(depth + 1)).optional()
          : z.never({ error: `fields can be nested ${MAX_DEPTH} deep` }).optional(),
      recursive:
        depth > 0 ? flag.optional() : z.never({ error: 'only a field of another input is recursive' }).optional(),
    })
    .superRefine(
      (field, context) => {
        const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message })
        for (const key of TYPED_KEYS) {
          if (field[key] !== undefined && field.type !== TYPE_OF_KEY[key]) {
            issue(
              key,
              `only an input of type ${JSON.stringify(TYPE_OF_KEY[key])} has ${key === 'pattern' ? 'a pattern' : key}`,
            )
          }
        }
        if (field.recursive && field.type !== 'object')
          issue('recursive', 'only an input of type "object" is recursive')
        const contents = [field.values, field.field, field.recursive || undefined].filter(
          (content) => content !== undefined,
        )
        if (contents.length > 1) issue('type', 'field, values and recursive are mutually exclusive')
      },
      given('type', 'recursive', ...TYPED_KEYS),
    )
    .superRefine(
      (field, context) => {
        if (field.default === undefined) return
        const issue = (message: string): void => context.addIssue({ code: 'custom', path: ['default'], message })
        if (field.required) issue('a required input has no default')
        if (!isOfType(field.default, field.type)) issue(`is not of type ${field.type}`)
        // What is in a recursive one is only known where it is used.
        else if (!field.recursive) {
          const { mistakes } = checkFields({ default: field }, { default: field.default })
          for (const { path, message } of mistakes) issue([...path.slice(1), message].join(': '))
        }
      },
      given('type', 'required', 'recursive', ...TYPED_KEYS),
    )
}
