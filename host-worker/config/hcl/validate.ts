import type { z } from 'zod'
import type { Compiled } from './compile.ts'
import { type Path, type Problem, problem } from './diagnostic.ts'
import { didYouMean } from './suggest.ts'

type Issue = z.core.$ZodIssue

/** Spellings that are accepted but not advertised. */
const UNADVERTISED = ['concurency']

/** What {@link problemsOf} needs to know of a file. */
export interface Checked extends Compiled {
  /** False where lines could not be parsed: a key may be there after all. */
  complete: boolean
}

/** Problems, with their places, for the issues of a schema; none for what follows from another problem. */
export function problemsOf(issues: readonly Issue[], file: Checked): Problem[] {
  return issues.flatMap((issue) => problemOf(issue, file) ?? [])
}

function problemOf(issue: Issue, file: Checked): Problem | null {
  const path = pathOf(issue)
  const { places } = file
  if (places.isSettled(path)) return null
  const params = issue.code === 'custom' ? (issue.params ?? {}) : {}
  const permitted = issue.code === 'invalid_value' ? issue.values.map(String) : strings(params['permitted'])
  const listed = permitted.filter((value) => !UNADVERTISED.includes(value))
  const input = valueAt(file.json, path)
  const missing =
    input === undefined && issue.code !== 'custom' ? path.slice(-1).map(String) : strings(params['missing'])
  if (missing.length > 0 && (!file.complete || isAccountedFor(path, missing, file))) return null
  if (issue.code === 'invalid_key') return problem(places.key(path), path, issue.issues[0]?.message ?? issue.message)
  const message = input === undefined && issue.code !== 'custom' ? 'is required' : messageOf(issue, input)
  return problem(places.value(path), path, message, listed)
}

/** Whether one of the missing keys was meant by something that is reported already, beside the path or above it. */
function isAccountedFor(path: Path, missing: string[], file: Checked): boolean {
  return missing.some((key) =>
    [...path, key].some((_, length) => file.places.isExcused([...path.slice(0, length), key])),
  )
}

function messageOf(issue: Issue, input: unknown): string {
  if (issue.code === 'invalid_value') {
    if (typeof input !== 'string') return 'expected a quoted string'
    return `unknown value ${JSON.stringify(input)}${didYouMean(input, issue.values.map(String))}`
  }
  // The schema's own words are better than the library's, where it has some.
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message
  return issue.expected === 'record' || issue.expected === 'object'
    ? 'expected an object: { … }'
    : `expected ${issue.expected}`
}

function pathOf(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
}

function valueAt(json: unknown, path: Path): unknown {
  let value = json
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}
