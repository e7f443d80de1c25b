/** A workflow's input, and the fields that its configuration declares. */
import { RE2JS } from 're2js'
import { refuseUrl } from './check-policy.ts'

/** One declared field. */
export interface InputField {
  type: 'string' | 'url' | 'number' | 'bool' | 'object'
  required: boolean
  /** The value of a field that is not there. */
  default?: unknown
  /** Of a string: an RE2 pattern that matches anywhere in it. */
  pattern?: string | undefined
  /** Of a string: the values that are permitted. */
  one_of?: string[] | undefined
  /** Of a URL: the hosts that are permitted, as for a check policy. */
  hosts?: string[] | undefined
  /** Of an object with any keys: the type of all values. */
  values?: 'string' | 'number' | 'bool' | undefined
  /** Of an object: its fields. Without them, `values` and `recursive` it may contain anything. */
  field?: Fields | undefined
  /** Of an object: whether its fields are those of the object that it is a field of. */
  recursive?: boolean | undefined
}
type Fields = { [name: string]: InputField }

/** What is wrong with one value; `path` leads to it. */
export interface InputMistake {
  path: string[]
  message: string
}

/** How deep values may be nested: recursion in the configuration must not become one without end. */
const MAX_DEPTH = 16

/** The message about a value that no field is declared for. */
export const NO_SUCH_INPUT = 'the workflow has no such input'

/**
 * Checks values against declared fields, and fills in defaults.
 *
 * @returns the values, to be used only without `mistakes`
 */
export function checkFields(
  fields: Readonly<Fields>,
  values: Readonly<Record<string, unknown>>,
  depth = 0,
): { values: Record<string, unknown>; mistakes: InputMistake[] } {
  const mistakes: InputMistake[] = []
  for (const key of Object.keys(values)) {
    if (!Object.hasOwn(fields, key)) mistakes.push({ path: [key], message: NO_SUCH_INPUT })
  }
  const checked: [string, unknown][] = []
  for (const [key, field] of Object.entries(fields)) {
    const value = Object.hasOwn(values, key) ? values[key] : field.default
    if (value === undefined) {
      if (field.required) mistakes.push({ path: [key], message: 'is required' })
      continue
    }
    const result = checkValue(field, value, fields, depth)
    checked.push([key, result.value])
    mistakes.push(...result.mistakes.map(({ path, message }) => ({ path: [key, ...path], message })))
  }
  return { values: Object.fromEntries(checked), mistakes }
}

/**
 * Values in which texts that stand for a number or a bool are one, where such a field is declared: labels of signals are
 * always texts. What stands for none stays as it is, and is reported by {@link checkFields}.
 */
export function convertTexts(
  fields: Readonly<Fields>,
  values: Readonly<Record<string, unknown>>,
  depth = 0,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined
      return [key, field === undefined || depth === MAX_DEPTH ? value : converted(field, value, fields, depth)]
    }),
  )
}

function converted(field: InputField, value: unknown, siblings: Readonly<Fields>, depth: number): unknown {
  if (typeof value === 'string') return fromText(field.type, value)
  if (!isObject(value)) return value
  const inner = field.recursive ? siblings : field.field
  if (inner !== undefined) return convertTexts(inner, value, depth + 1)
  const { values: type } = field
  if (type === undefined) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([key, each]) => [key, typeof each === 'string' ? fromText(type, each) : each]))
}

/** JSON's own notation of numbers, and Prometheus's, which allows a plus sign. */
const NUMBER = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

function fromText(type: InputField['type'], text: string): unknown {
  if (type === 'number' && NUMBER.test(text) && Number.isFinite(Number(text))) return Number(text)
  if (type === 'bool' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/** Whether a JSON value is of a field's type; whether a string is a URL is another question. */
export function isOfType(value: unknown, type: InputField['type']): boolean {
  switch (type) {
    case 'string':
    case 'url':
      return typeof value === 'string'
    case 'number':
      return typeof value === 'number'
    case 'bool':
      return typeof value === 'boolean'
    case 'object':
      return isObject(value)
  }
}

interface Checked {
  value: unknown
  mistakes: InputMistake[]
}

function checkValue(field: InputField, value: unknown, siblings: Readonly<Fields>, depth: number): Checked {
  const wrong = (message: string): Checked => ({ value, mistakes: [{ path: [], message }] })
  if (!isOfType(value, field.type)) return wrong(`must be of type ${field.type}`)
  if (isObject(value)) return checkObject(field, value, siblings, depth)
  const mistake = typeof value === 'string' ? mistakeInText(field, value) : null
  return mistake === null ? { value, mistakes: [] } : wrong(mistake)
}

function checkObject(
  { field, values, recursive }: InputField,
  value: Record<string, unknown>,
  siblings: Readonly<Fields>,
  depth: number,
): Checked {
  if (depth === MAX_DEPTH) return { value, mistakes: [{ path: [], message: 'is nested too deeply' }] }
  const fields = recursive ? siblings : field
  if (fields !== undefined) {
    const result = checkFields(fields, value, depth + 1)
    return { value: result.values, mistakes: result.mistakes }
  }
  const others = values === undefined ? [] : Object.entries(value).filter(([, each]) => !isOfType(each, values))
  return { value, mistakes: others.map(([key]) => ({ path: [key], message: `must be of type ${values}` })) }
}

function mistakeInText({ type, pattern, one_of, hosts }: InputField, value: string): string | null {
  if (type === 'url') return URL.canParse(value) ? refuseUrl(new URL(value), hosts) : 'must be a URL'
  if (one_of !== undefined && !one_of.includes(value)) return `must be one of ${one_of.join(', ')}`
  // RE2 runs in linear time: a pattern in the config can't be turned against the coordinator.
  if (pattern === undefined || RE2JS.compile(pattern).matcher(value).find()) return null
  return `must match ${pattern}`
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
