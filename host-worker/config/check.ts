import { join } from 'node:path'
import { list } from './directory.ts'
import { CODE_KEY, type Diagnostic } from './hcl/diagnostic.ts'
import { loadProject } from './project.ts'

/** The result of a check; `ok` when there are no errors, whatever the warnings. */
export interface CheckResult {
  ok: boolean
  errors: Diagnostic[]
  warnings: Diagnostic[]
}

/** Checks all files of a project, its workflows' code included. */
export async function checkProject(directory: string): Promise<CheckResult> {
  // A project without server_config is in order: it is one that only `resile dev` runs.
  const { dir, errors: misconfigured, warnings } = await loadProject(directory, { development: true })
  const code = await checkCode(dir)
  const errors = [...misconfigured, ...code]
  // Code that can't be parsed is an error here, and was a warning where only its exports were read.
  const isKnown = ({ file, key }: Diagnostic): boolean => key === CODE_KEY && code.some((error) => error.file === file)
  return { ok: errors.length === 0, errors, warnings: warnings.filter((warning) => !isKnown(warning)) }
}

/** Non-deterministic code in a project. The parser is only loaded when the project has code. */
async function checkCode(dir: string): Promise<Diagnostic[]> {
  const listing = await list(join(dir, 'workflows'))
  if (typeof listing === 'string') return []
  const own = listing.filter((name) => name.endsWith('.ts') && listing.includes(name.replace(/ts$/, 'hcl')))
  if (own.length === 0) return []
  const { lintWorkflows } = await import('./determinism/lint-workflows.ts')
  return lintWorkflows(
    dir,
    own.map((name) => join(dir, 'workflows', name)),
  )
}

/** One line for people: `FILE:LINE:COL: KEY: message (permitted: a, b)`, a warning with `warning:` before its message. */
export function formatDiagnostic(diagnostic: Diagnostic, severity: 'error' | 'warning' = 'error'): string {
  const { file, line, column, key, message, permitted } = diagnostic
  const what = severity === 'warning' ? `warning: ${message}` : message
  const list = permitted.length === 0 ? '' : ` (permitted: ${permitted.join(', ')})`
  // Names come from files: none may break the line, or control the terminal.
  return `${file}:${line}:${column}: ${key}: ${what}${list}`.replaceAll(
    /\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The same for programs: the value of `resile check --json`. */
export function toJson({ ok, errors, warnings }: CheckResult): CheckResult {
  return { ok, errors: errors.map(inOrder), warnings: warnings.map(inOrder) }
}

function inOrder({ file, line, column, key, message, permitted }: Diagnostic): Diagnostic {
  return { file, line, column, key, message, permitted }
}
