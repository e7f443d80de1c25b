/** A text of at most so many UTF-16 code units, and an ellipsis where it was cut. */
export function truncate(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength).toWellFormed()}…`
}
