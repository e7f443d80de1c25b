/** The text after a slash command: `WORKFLOW TARGET key=value… reason …`. */
import { type InputField, isOfType } from '../../../shared/input.ts'
import type { Target } from '../../../shared/wire.ts'
import type { Workflow } from '../../../shared/workflows.ts'
import { decodeJson } from '../../http/body.ts'
import { ProblemError } from '../../http/problem.ts'

/** What a command starts a workflow with. */
export interface CommandParameters {
  target: Target
  input: Record<string, unknown>
  reason: string | null
}

/** The first word of a command, and the rest; null when it asks for help. */
export function splitCommand(text: string): { workflow: string; rest: string } | null {
  // Some keyboards, and Slack's own, make quotes round.
  const [, workflow = 'help', rest = ''] = /^\s*(\S+)([\s\S]*)$/.exec(text.replaceAll(/[“”]/g, '"')) ?? []
  return workflow === 'help' ? null : { workflow, rest }
}

/**
 * Reads what comes after the workflow's name. Values are of the types that the workflow declares.
 *
 * @throws ProblemError `bad_request` that says which word is not understood
 */
export function readParameters(workflow: Workflow, rest: string): CommandParameters {
  const input = new Map<string, unknown>()
  let target: Target | null = null
  let reason: string | null = null
  let at = 0
  while (at < rest.length) {
    const [whole, word = ''] = /^\s*(\S*)/.exec(rest.slice(at)) ?? ['']
    const begin = at + whole.length - word.length
    const [assignment, key = ''] = /^([A-Za-z_][\w.-]*)=/.exec(rest.slice(begin)) ?? []
    if (word === '') break
    if (word === 'reason') {
      reason = rest.slice(begin + word.length).trim()
      break
    }
    if (assignment !== undefined) {
      if (input.has(key)) throw misunderstood(`${key} is there twice`)
      const value = readValue(rest, begin + assignment.length)
      input.set(
        key,
        typed(key, value, workflow.input?.[key]?.type ?? (workflow.input === undefined ? 'any' : 'string')),
      )
      at = value.end
    } else {
      if (target !== null || input.size > 0) {
        throw misunderstood(`"${word}": after the target come key=value, and at the end: reason …`)
      }
      target = targetOf(workflow, word)
      at = begin + word.length
    }
  }
  return { target: target ?? {}, input: Object.fromEntries(input), reason: reason === '' ? null : reason }
}

/** How a workflow is called, for help. */
export function usageOf({ name, task_queue_target, input }: Workflow): string {
  const [scope] = task_queue_target.split(':')
  const target = scope === 'node' ? ['NODE'] : task_queue_target === 'node_type' ? ['NODE_TYPE'] : []
  const fields = Object.entries(input ?? {}).map(([key, { type, required }]) =>
    required ? `${key}=${type.toUpperCase()}` : `[${key}=${type.toUpperCase()}]`,
  )
  return [name, ...target, ...fields, '[reason …]'].join(' ')
}

/** A value as it was typed: where it ends, and whether it was quoted. */
interface TypedValue {
  text: string
  isQuoted: boolean
  end: number
}

function readValue(rest: string, begin: number): TypedValue {
  const quoted = /^"(?:[^"\\]|\\.)*"(?=\s|$)/.exec(rest.slice(begin))?.[0]
  if (quoted !== undefined) {
    const text = jsonOf(quoted)
    if (typeof text !== 'string') throw misunderstood(`${quoted} is not text`)
    return { text, isQuoted: true, end: begin + quoted.length }
  }
  if (rest[begin] === '{') {
    // An object may have spaces; it ends with the first } that makes it one.
    for (const { index } of rest.slice(begin).matchAll(/\}(?=\s|$)/g)) {
      const text = rest.slice(begin, begin + index + 1)
      if (jsonOf(text) !== undefined) return { text, isQuoted: false, end: begin + text.length }
    }
  }
  const text = /^\S*/.exec(rest.slice(begin))?.[0] ?? ''
  return { text, isQuoted: false, end: begin + text.length }
}

function typed(key: string, { text, isQuoted }: TypedValue, type: InputField['type'] | 'any'): unknown {
  const json = isQuoted && type === 'any' ? text : jsonOf(text)
  const isText = type === 'string' || type === 'url'
  if (!isText && type !== 'any' && !isOfType(json, type)) {
    throw misunderstood(`${key}: "${text}" is not of type ${type}`)
  }
  return isText || json === undefined ? text : json
}

/** A text as JSON; undefined when it is not JSON, or would change in transit. */
function jsonOf(text: string): unknown {
  try {
    return decodeJson(new TextEncoder().encode(text))
  } catch {
    return undefined
  }
}

function targetOf({ task_queue_target }: Workflow, word: string): Target {
  const [scope] = task_queue_target.split(':')
  if (scope === 'datacenter') return { datacenter: word }
  const [name = '', datacenter] = word.split('@', 2)
  return { [scope === 'node' ? 'node' : 'node_type']: name, ...(datacenter === undefined ? {} : { datacenter }) }
}

function misunderstood(detail: string): ProblemError {
  return new ProblemError('bad_request', detail)
}
