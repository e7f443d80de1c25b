/** Whether the inside of a `${…}` is one of the three forms that a detector interpolates. */
export function isTemplateExpression(expression: string): boolean {
  return /^(?:value|(?:labels|annotations)\.[A-Za-z_]\w*)$/.test(expression)
}

/** Literal text as it is written in a detector's `target` and `input`, where `$${` means `${` and is not interpolated. */
export function escapeTemplate(literal: string): string {
  // A function, because `$$` in a replacement text is an escape itself.
  return literal.replaceAll('${', () => '$${')
}
