/** Markdown of generated pages. */

/** The longest line of a page. */
export const MAX_LINE = 120

/** The first line of every generated page. */
export const GENERATED = '<!-- Generated from the code by `npm run docs`. Edit the code, not this page. -->'

/** Breaks a paragraph or list item into lines; lines after the first begin with `indent`. */
export function wrap(text: string, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const start = lines.length === 0 ? '' : indent
    if (line !== '' && `${start}${line} ${word}`.length > MAX_LINE) {
      lines.push(start + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, (lines.length === 0 ? '' : indent) + line].join('\n')
}

/** `<` and `|` outside of code would be read as HTML and as a cell's end. */
export function escaped(text: string): string {
  return text.replaceAll('<', '\\<').replaceAll('|', '\\|')
}
