import type { Diagnostic } from './diagnostic.ts'
import { loadProject } from './project.ts'

/** What a check found; `ok` when there are no errors, whatever the warnings. */
export interface CheckResult {
  ok: boolean
  errors: Diagnostic[]
  warnings: Diagnostic[]
}

/** Checks all files of a project. */
export async function checkProject(dir: string): Promise<CheckResult> {
  // A project without server_config is in order: it is one that only `resile dev` runs.
  const { errors, warnings } = await loadProject(dir, { development: true })
  return { ok: errors.length === 0, errors, warnings }
}

/** One line for people: `FILE:LINE:COL: KEY: message (permitted: a, b)`, a warning with `warning:` before its message. */
export function formatDiagnostic(diagnostic: Diagnostic, severity: 'error' | 'warning' = 'error'): string {
  const { file, line, column, key, message, permitted } = diagnostic
  const what = severity === 'warning' ? `warning: ${message}` : message
  const list = permitted.length === 0 ? '' : ` (permitted: ${permitted.join(', ')})`
  // Names come from files: none may break the line, or speak to the terminal.
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
