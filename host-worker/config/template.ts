/** What a detector knows when it fires, for the `${…}` in its `target` and `input`. */
export interface TemplateScope {
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  value: string | number
}

const EXPRESSION = /^(?:value|(?:labels|annotations)\.[A-Za-z_][\w-]*)$/
const PLACEHOLDER = /\$\$\{|\$\{([^}]*)\}/g

/** Whether the inside of a `${…}` is one of the three forms that are interpolated. */
export function isTemplateExpression(expression: string): boolean {
  return EXPRESSION.test(expression)
}

/** Literal text as it stands in a template. */
export function escapeTemplate(literal: string): string {
  return literal.replaceAll('${', '$${')
}

/**
 * Fills in a template of a detector's `target` or `input`: `${labels.x}`, `${annotations.x}`, `${value}`; `$${` stands
 * for `${`.
 *
 * @returns the text, or null when a label or annotation is not there: a trigger must not be sent for nobody
 */
export function renderTemplate(template: string, scope: TemplateScope): string | null {
  let complete = true
  const text = template.replaceAll(PLACEHOLDER, (_, expression: string | undefined) => {
    if (expression === undefined) return '${'
    const found = lookUp(expression, scope)
    if (found === null) complete = false
    return found ?? ''
  })
  return complete ? text : null
}

function lookUp(expression: string, scope: TemplateScope): string | null {
  if (!isTemplateExpression(expression)) return null
  if (expression === 'value') return String(scope.value)
  const [source, name = ''] = expression.split('.')
  const values = source === 'labels' ? scope.labels : scope.annotations
  return Object.hasOwn(values, name) ? (values[name] ?? null) : null
}
