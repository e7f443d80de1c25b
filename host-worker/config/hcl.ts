import type { SyntaxNode } from '@lezer/common'
import { consult, type SyntaxDiagnostic } from './authority.ts'
import { byPosition, FILE_KEY, type Position, type Problem, problem, SYNTAX_KEY } from './diagnostic.ts'
import { disagreement } from './agreement.ts'
import { children, evaluate, named, plainText, slice } from './expression.ts'
import type { Source } from './source.ts'
import type { Attribute, Block, Body } from './tree.ts'

/** How deeply brackets may be nested; HashiCorp's parser overflows its stack somewhere beyond 1000. */
export const MAX_NESTING = 32

/** An HCL file as far as it could be read. */
export interface Hcl {
  /** Syntax errors, and the like, in the file's order. */
  problems: Problem[]
  /**
   * The content; null when the structure is in doubt. Where there are syntax errors, lines are left out: what stands
   * here is then right, but nothing can be said of what is missing.
   */
  body: Body | null
}

const TOP: Position = { line: 1, column: 1 }
const DUPLICATE = 'Attribute redefined'
/** After these the parser takes text for code and code for text, and reports much that is not wrong. */
const UNTRUSTED_AFTER = ['Invalid multi-line string', 'Unterminated template string']
const MAX_REPAIRS = 20

/**
 * Reads an HCL text into a tree of attributes and blocks with their positions; never throws on any text.
 *
 * HashiCorp's parser decides what is right; the Lezer grammar, which takes more than HCL, only says where things are.
 * A line with a syntax error is blanked and the rest read again, so that other mistakes are reported with it. Duplicate
 * attributes are not reported here: the tree has them all.
 */
export async function parseHcl(source: Source): Promise<Hcl> {
  const deep = tooDeep(source.text)
  if (deep !== null) {
    return { problems: [problem(source.position(deep), SYNTAX_KEY, `nested deeper than ${MAX_NESTING} levels`)], body: null }
  }
  const { text, blanked, problems, json } = await repair(source.text)
  if (text === null) return { problems, body: null }
  const root = await syntaxTree(text)
  if (root === null) return { problems: [...problems, tooComplex()], body: null }
  const wrong = firstError(root)
  if (wrong !== null) {
    const message = 'only plain names, blocks and literal values are supported here'
    return { problems: [...problems, problem(source.position(wrong), SYNTAX_KEY, message)], body: null }
  }
  const body = items(root, source, blanked)
  const doubt = json === undefined ? null : disagreement(body, json)
  if (doubt !== null) return { problems: [problem(doubt, SYNTAX_KEY, 'is ambiguous; write it more simply')], body: null }
  return { problems, body }
}

/** Where brackets are nested too deeply. Strings and comments don't count; it need not be exact, only bounded. */
function tooDeep(text: string): number | null {
  let depth = 0
  for (const token of text.matchAll(/"(?:\\.|[^"\\\n])*"|(?:#|\/\/).*|\/\*[^]*?\*\/|[([{]|[)\]}]/g)) {
    if ('([{'.includes(token[0])) depth += 1
    else if (')]}'.includes(token[0])) depth = Math.max(0, depth - 1)
    if (depth > MAX_NESTING) return token.index
  }
  return null
}

interface Repaired {
  /** What can be read, as long as the original; null when its structure is in doubt. */
  text: string | null
  blanked: ReadonlySet<number>
  problems: Problem[]
  /** The content by HashiCorp's parser when nothing was wrong. */
  json?: unknown
}

async function repair(original: string): Promise<Repaired> {
  const lines = original.split('\n')
  const blanked = new Set<number>()
  const problems: Problem[] = []
  for (let round = 0; round <= MAX_REPAIRS; round += 1) {
    const verdict = await consult(lines.join('\n'))
    if (verdict.kind === 'failed') return { text: null, blanked, problems: [...problems, tooComplex(verdict.message)] }
    if (verdict.kind === 'read') {
      return { text: lines.join('\n'), blanked, problems, ...(round === 0 && { json: verdict.json }) }
    }
    // Blocks of one name with and without a label: reported, with its place, by those who know which is right.
    if (verdict.kind === 'unusable') return { text: lines.join('\n'), blanked, problems }
    const wrong = worthReporting(verdict.diagnostics.filter(({ summary }) => summary !== DUPLICATE))
    if (wrong.length === 0) return { text: lines.join('\n'), blanked, problems }
    const doubtful = wrong.some(({ line, summary }) => /^Unclosed/.test(summary) || !isBalanced(lines[line - 1] ?? ''))
    // A bracket that seems wrong only after a line was taken out is more likely a consequence than a mistake.
    if (doubtful && round > 0) return { text: null, blanked, problems }
    const found = doubtful ? worthReporting(verdict.diagnostics) : wrong
    problems.push(...found.map((diagnostic) => problem(diagnostic, SYNTAX_KEY, diagnostic.message)))
    if (doubtful) return { text: null, blanked, problems }
    for (const { line } of wrong) {
      if (blanked.has(line)) return { text: null, blanked, problems }
      blanked.add(line)
      lines[line - 1] = (lines[line - 1] ?? '').replaceAll(/[^]/g, ' ')
    }
  }
  return { text: null, blanked, problems }
}

/** One diagnostic for each line, and none that follows from an open string. */
function worthReporting(diagnostics: SyntaxDiagnostic[]): SyntaxDiagnostic[] {
  const sorted = diagnostics.toSorted(byPosition)
  const open = sorted.findIndex(({ summary }) => UNTRUSTED_AFTER.includes(summary))
  const trusted = open === -1 ? sorted : sorted.slice(0, open + 1)
  return trusted.filter(({ line }, index) => line !== trusted[index - 1]?.line)
}

/** Whether a line can be taken out without changing what belongs to what. */
function isBalanced(line: string): boolean {
  const brackets = line.replaceAll(/"(?:\\.|[^"\\])*"?|(?:#|\/\/).*/g, '').replaceAll(/[^()[\]{}]/g, '')
  let rest = brackets
  for (let before = ''; before !== rest; ) {
    before = rest
    rest = rest.replaceAll(/\(\)|\[\]|\{\}/g, '')
  }
  return rest === '' && !line.includes('/*') && !line.includes('*/') && !line.includes('<<')
}

function tooComplex(detail?: string): Problem {
  return problem(TOP, FILE_KEY, `is too complicated to be read${detail === undefined ? '' : ` (${detail})`}`)
}

const PARSE_WITHIN_MS = 3000

/** The Lezer tree, or null when the text drives the parser to the quadratic time that long chains of operators take. */
async function syntaxTree(text: string): Promise<SyntaxNode | null> {
  const { hclLanguage } = await import('codemirror-lang-hcl')
  const parse = hclLanguage.parser.startParse(masked(text))
  const deadline = performance.now() + PARSE_WITHIN_MS
  while (performance.now() < deadline) {
    const tree = parse.advance()
    if (tree !== null) return tree.topNode
  }
  return null
}

/**
 * The text with other words of the same length for names that the grammar takes for keywords everywhere, and HCL only
 * inside expressions: `for = "5m"`. What is read at a place is read from the original.
 */
function masked(text: string): string {
  return text.replaceAll(/(?<![\w.-])(?:for|in|if|else|endif|endfor)(?=\s*(?:=(?![=>])|[:{]))/g, (word) => 'x'.repeat(word.length))
}

function firstError(root: SyntaxNode): number | null {
  const cursor = root.cursor()
  while (!cursor.type.isError) if (!cursor.next()) return null
  return cursor.from
}

/** The attributes and blocks in the bodies directly below a node. */
function items(node: SyntaxNode, source: Source, blanked: ReadonlySet<number>): Body {
  return named(node, 'Body').flatMap(children).map((item) =>
    item.name === 'Block' ? block(item, source, blanked) : attribute(item, source, blanked))
}

function attribute(node: SyntaxNode, source: Source, blanked: ReadonlySet<number>): Attribute {
  const [name, , expression] = children(node)
  const at = source.position(node.from)
  const end = source.position(node.to).line
  const incomplete = [...blanked].some((line) => line >= at.line && line <= end)
  return {
    form: 'attribute',
    name: name ? slice(name, source) : '',
    at,
    value: expression && !incomplete ? evaluate(expression, source) : { kind: 'broken', message: null, at },
  }
}

function block(node: SyntaxNode, source: Source, blanked: ReadonlySet<number>): Block {
  const [type] = named(node, 'BlockType')
  return {
    form: 'block',
    name: type ? slice(type, source) : '',
    at: source.position(node.from),
    labels: named(node, 'BlockLabel').map((label) => ({
      text: plainText(label, source) ?? '',
      at: source.position(label.from),
    })),
    body: items(node, source, blanked),
  }
}
