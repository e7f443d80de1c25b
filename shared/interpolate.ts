/** The facts of a signal that templates can use. */
export interface SignalFacts {
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** The measured value, as the source wrote it; null for a signal that measures nothing. */
  value: string | null
}

/** Thrown when a template names something that the signal doesn't carry. */
export class InterpolationError extends Error {}

/**
 * Replaces `${labels.x}`, `${labels["x"]}`, `${annotations.x}` and `${value}` in all texts of a JSON value; `$${` is a
 * literal `${`.
 *
 * @throws InterpolationError when what it names isn't there: half a target must not trigger anything
 */
export function interpolate<Value>(value: Value, signal: SignalFacts): Value {
  return fill(value, signal) as Value
}

function fill(value: unknown, signal: SignalFacts): unknown {
  if (typeof value === 'string') return fillText(value, signal)
  if (Array.isArray(value)) return value.map((item) => fill(item, signal))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, signal)]))
}

/** Whether a template is the same for each signal. */
export function isFixed(template: string): boolean {
  return !template.includes('${')
}

/** The names of the labels that the texts of a JSON value name, each once. */
export function labelsIn(value: unknown): string[] {
  const names = textsIn(value).flatMap((text) =>
    [...text.matchAll(EXPRESSION)].flatMap(([, kind, plain, quoted]) =>
      kind === 'labels' ? [plain ?? quoted ?? ''] : [],
    ),
  )
  return [...new Set(names)]
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

function fillText(text: string, signal: SignalFacts): string {
  return text.replace(EXPRESSION, (expression: string, kind?: string, plain?: string, quoted?: string) => {
    if (expression === ESCAPED) return '${'
    const name = plain ?? quoted ?? ''
    const fields = kind === 'labels' ? signal.labels : signal.annotations
    const found = kind === undefined ? signal.value : Object.hasOwn(fields, name) ? fields[name] : null
    if (found === null || found === undefined)
      throw new InterpolationError(`${expression}: the signal has nothing of that name`)
    return found
  })
}

const ESCAPED = '$${'
const EXPRESSION = /\$\$\{|\$\{(?:(labels|annotations)(?:\.([A-Za-z0-9_]+)|\["([^"]+)"\])|value)\}/g
