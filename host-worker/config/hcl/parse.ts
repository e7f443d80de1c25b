import type { SyntaxNode } from '@lezer/common'
import { disagreement } from './agreement.ts'
import { type Problem, problem, SYNTAX_KEY } from './diagnostic.ts'
import { children, evaluate, labelText, named, slice } from './expression.ts'
import { syntaxTree } from './grammar.ts'
import { repair } from './repair.ts'
import type { Source } from './source.ts'
import type { Attribute, Block, Body } from './tree.ts'

/** How deeply brackets may be nested; HashiCorp's parser overflows its stack somewhere beyond 1000. */
export const MAX_NESTING = 32

/** An HCL file as far as it could be read. */
export interface Hcl {
  /** Syntax errors, and the like, in the file's order. */
  problems: Problem[]
  /**
   * The content; null when the structure is uncertain. Where there are syntax errors, lines are left out: what is
   * here is then right, but nothing can be said of what is missing.
   */
  body: Body | null
}

/**
 * Reads an HCL text into a tree of attributes and blocks with their positions; never throws on any text.
 *
 * HashiCorp's parser decides what is right; the Lezer grammar, which takes more than HCL, says where things are; and
 * where both read something, they must have read the same. Duplicates are not reported here: the tree has them all.
 */
export async function parseHcl(source: Source): Promise<Hcl> {
  const { text } = source
  const fail = (earlier: Problem[], offset: number, message: string): Hcl => ({
    problems: [...earlier, problem(source.position(offset), SYNTAX_KEY, message)],
    body: null,
  })
  const deep = tooDeep(text)
  if (deep !== null) return fail([], deep, `nested deeper than ${MAX_NESTING} levels`)
  const { text: repaired, blanked, problems, json } = await repair(text)
  if (repaired === null) return { problems, body: null }
  const tree = await syntaxTree(repaired)
  if (tree === null) return fail(problems, 0, 'is too complicated to be read')
  if ('error' in tree) return fail(problems, tree.error, 'only plain names, blocks and literal values are supported')
  const body = items(tree.root, source, blanked)
  const doubt = json === undefined ? null : disagreement(body, json)
  if (doubt !== null) {
    return { problems: [problem(doubt, SYNTAX_KEY, 'is ambiguous; write it more simply')], body: null }
  }
  return { problems, body }
}

/** Strings, comments and brackets; an open one ends with its line or the file, lest each be searched to the end. */
const TOKENS = /"(?:\\.|[^"\\\n])*"?|(?:#|\/\/).*|\/\*[\s\S]*?(?:\*\/|$)|[([{]|[)\]}]/g

/** Where brackets are nested too deeply. Strings and comments don't count; it need not be exact, only bounded. */
function tooDeep(text: string): number | null {
  let depth = 0
  for (const token of text.matchAll(TOKENS)) {
    if ('([{'.includes(token[0])) depth += 1
    else if (')]}'.includes(token[0])) depth = Math.max(0, depth - 1)
    if (depth > MAX_NESTING) return token.index
  }
  return null
}

/** The attributes and blocks in the bodies directly below a node. */
function items(node: SyntaxNode, source: Source, blanked: ReadonlySet<number>): Body {
  return named(node, 'Body')
    .flatMap(children)
    .map((item) => (item.name === 'Block' ? block(item, source, blanked) : attribute(item, source, blanked)))
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
      text: labelText(label, source) ?? '',
      at: source.position(label.from),
    })),
    body: items(node, source, blanked),
  }
}
