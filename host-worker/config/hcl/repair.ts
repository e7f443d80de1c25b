import { byPosition, FILE_KEY, type Problem, problem, SYNTAX_KEY } from './diagnostic.ts'
import { consult, type SyntaxDiagnostic } from './reference-parser.ts'

/** A text without its syntax errors. */
export interface Repaired {
  /** What can be read, each character at its position; null when the structure is uncertain. */
  text: string | null
  /** The lines that were left out, from 1. */
  blanked: ReadonlySet<number>
  problems: Problem[]
  /** The content by HashiCorp's parser, if nothing at all is wrong. */
  json?: unknown
}

const DUPLICATE = 'Attribute redefined'
/** After these the parser takes text for code and code for text, and reports much that is not wrong. */
const UNTRUSTED_AFTER = ['Invalid multi-line string', 'Unterminated template string']
const MAX_ROUNDS = 20

/**
 * Blanks the lines with syntax errors until HashiCorp's parser takes the rest, so that other mistakes can be found and
 * reported beside them. A line with an open bracket can't be taken out: then what belongs to what is in doubt.
 *
 * Duplicate attributes are left to those who read the tree, unless there will be none.
 */
export async function repair(original: string): Promise<Repaired> {
  const lines = original.split('\n')
  const blanked = new Set<number>()
  const problems: Problem[] = []
  const done = (text: string | null, json?: unknown): Repaired => ({
    text,
    blanked,
    problems: problems.sort(byPosition),
    json,
  })
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const text = lines.join('\n')
    const verdict = await consult(text)
    if (verdict.kind === 'read') return done(text, round === 0 ? verdict.json : undefined)
    // Blocks of one name with and without a label: reported, with its place, by those who know which is right.
    if (verdict.kind === 'unusable') return done(text)
    if (verdict.kind === 'failed') {
      problems.push(problem({ line: 1, column: 1 }, FILE_KEY, `is too complicated to be read: ${verdict.message}`))
      return done(null)
    }
    const wrong = worthReporting(verdict.diagnostics.filter(({ summary }) => summary !== DUPLICATE))
    if (wrong.length === 0) return done(text)
    const doubtful = wrong.some(
      ({ line, summary }) => summary.startsWith('Unclosed') || !isBalanced(lines[line - 1] ?? ''),
    )
    const found = doubtful ? worthReporting(verdict.diagnostics) : wrong
    // A bracket that seems wrong only after a line was taken out is more likely a consequence than a mistake.
    if (!doubtful || round === 0) problems.push(...found.map((found) => problem(found, SYNTAX_KEY, found.message)))
    if (doubtful || wrong.some(({ line }) => blanked.has(line))) return done(null)
    for (const { line } of wrong) {
      blanked.add(line)
      lines[line - 1] = ' '.repeat(lines[line - 1]?.length ?? 0)
    }
  }
  return done(null)
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
  let rest = line.replaceAll(/"(?:\\.|[^"\\])*"?|(?:#|\/\/).*/g, '').replaceAll(/[^()[\]{}]/g, '')
  for (let before = ''; before !== rest; ) {
    before = rest
    rest = rest.replaceAll(/\(\)|\[\]|\{\}/g, '')
  }
  return rest === '' && !/\/\*|\*\/|<</.test(line)
}
