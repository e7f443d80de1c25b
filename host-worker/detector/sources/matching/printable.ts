/**
 * Text that is safe in a log, a terminal or a message: characters that are not visible (control, format, line
 * separators: also those that turn the direction of writing) is replaced, and it is cut after `most` characters.
 */
export function printable(text: string, most: number): string {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text
  return cut
    .toWellFormed()
    .replaceAll('\t', ' ')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD')
}
