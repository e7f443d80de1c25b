import type { SyntaxNode } from '@lezer/common'

/**
 * The Lezer tree of a text, whose places are those of the text. The grammar takes more than HCL, so the text must be
 * known to be right.
 *
 * @returns the root; or the place that the grammar can't read; or null when the text drives the parser to the quadratic
 *   time that long chains of operators take
 */
export async function syntaxTree(text: string): Promise<{ root: SyntaxNode } | { error: number } | null> {
  // Brings CodeMirror's editor along, so it is loaded only where HCL is read.
  const { hclLanguage } = await import('codemirror-lang-hcl')
  const parse = hclLanguage.parser.startParse(masked(text))
  const deadline = performance.now() + PARSE_WITHIN_MS
  while (performance.now() < deadline) {
    const tree = parse.advance()
    if (tree === null) continue
    const error = firstError(tree.topNode)
    return error === null ? { root: tree.topNode } : { error }
  }
  return null
}

const PARSE_WITHIN_MS = 3000

/** What HCL takes and the grammar doesn't: keywords as names (`for = "5m"`), names of any letters, and `1e9`. */
const KEYWORD_AS_NAME = /(?<![\w.-])(?:for|in|if|else|endif|endfor)(?=\s*(?:=(?![=>])|[:{"]))/g
const NOT_ASCII = /[^\0-\x7f]/g
const WHOLE_WITH_EXPONENT = /(?<![\w.])\d+[eE][+-]?\d+/g

/** The text with these replaced by something of the same length. Their content is read from the original. */
function masked(text: string): string {
  return text
    .replaceAll(NOT_ASCII, 'x')
    .replaceAll(KEYWORD_AS_NAME, (word) => 'x'.repeat(word.length))
    .replaceAll(WHOLE_WITH_EXPONENT, (number) => '1'.repeat(number.length))
}

function firstError(root: SyntaxNode): number | null {
  const cursor = root.cursor()
  while (!cursor.type.isError) if (!cursor.next()) return null
  return cursor.from
}
