/**
 * Whether the inside of a `${…}` is one of the forms that a detector interpolates: `value`, `labels.x` or
 * `labels["x"]`, and the same of annotations. Names as they come, such as `host.name`, need the second form.
 */
export function isTemplateExpression(expression: string): boolean {
  return /^(?:value|(?:labels|annotations)(?:\.[A-Za-z_]\w*|\["[^"\\${}%\p{Cc}]+"\]))$/u.test(expression)
}

/** Literal text as it is written in a detector's `target` and `input`, where `$${` means `${` and is not interpolated. */
export function escapeTemplate(literal: string): string {
  // A function, because `$$` in a replacement text is an escape itself.
  return literal.replaceAll('${', () => '$${')
}
