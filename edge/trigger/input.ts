import { RE2JS } from 're2js'
import { type InputField, typeOf } from '../../shared/config.ts'
import { type InputError, jsonPointer, ProblemError } from '../http/problem.ts'

/**
 * Checks a trigger's input against the fields that its workflow declares, and fills in defaults. A workflow that
 * declares none takes any object.
 *
 * @throws ProblemError `invalid_input` with the path of each mistake
 */
export function validateInput(
  fields: Readonly<Record<string, InputField>> | undefined,
  input: Record<string, unknown>,
): Record<string, unknown> {
  if (fields === undefined) return input
  const errors: InputError[] = []
  for (const key of Object.keys(input)) {
    if (!Object.hasOwn(fields, key))
      errors.push({ path: jsonPointer(['input', key]), message: 'the workflow has no such input' })
  }
  const values: [string, unknown][] = []
  for (const [key, field] of Object.entries(fields)) {
    const value = Object.hasOwn(input, key) ? input[key] : field.default
    const problem = value === undefined ? missing(field) : mismatch(field, value)
    if (problem !== null) errors.push({ path: jsonPointer(['input', key]), message: problem })
    else if (value !== undefined) values.push([key, value])
  }
  if (errors.length > 0) throw new ProblemError('invalid_input', 'the input does not fit the workflow', { errors })
  return Object.fromEntries(values)
}

function missing(field: InputField): string | null {
  return field.required ? 'is required' : null
}

function mismatch(field: InputField, value: unknown): string | null {
  if (typeOf(value) !== field.type) return `must be of type ${field.type}`
  // RE2 runs in linear time: a pattern in the config can't be turned against the coordinator.
  if (field.pattern === undefined || RE2JS.compile(field.pattern).matcher(String(value)).find()) return null
  return `must match ${field.pattern}`
}
