import type { Firing } from './observation.ts'

/** Thrown when a template names something that the signal doesn't carry. */
export class InterpolationError extends Error {}

/**
 * Fills `${labels.x}`, `${annotations.x}` and `${value}` in all texts of a JSON value; `$${` stands for a literal `${`.
 *
 * @throws InterpolationError when a label or annotation isn't there: half a target must not trigger anything
 */
export function interpolate<Value>(value: Value, firing: Firing): Value {
  return fill(value, firing) as Value
}

function fill(value: unknown, firing: Firing): unknown {
  if (typeof value === 'string') return fillText(value, firing)
  if (Array.isArray(value)) return value.map((item) => fill(item, firing))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, firing)]))
}

function fillText(text: string, firing: Firing): string {
  return text.replace(EXPRESSION, (expression: string, kind: string | undefined, name: string) => {
    if (expression === ESCAPED) return '${'
    if (kind === undefined) return firing.value
    const fields = kind === 'labels' ? firing.labels : firing.annotations
    const found = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (found === undefined) throw new InterpolationError(`${expression}: the signal carries none of that name`)
    return found
  })
}

const ESCAPED = '$${'
const EXPRESSION = /\$\$\{|\$\{(?:(labels|annotations)\.([A-Za-z0-9_]+)|value)\}/g
