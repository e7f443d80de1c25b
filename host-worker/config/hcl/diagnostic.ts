/** A place in a file: line and column from 1, columns in characters as a reader counts them. */
export interface Position {
  line: number
  column: number
}

/** A mistake within one file. `key` is a path such as `constraint[1].period`; never empty. */
export interface Problem extends Position {
  key: string
  message: string
  /** The values or names that would be right, where they can be listed. */
  permitted: string[]
}

/** A mistake of a project; `file` is relative to the project's directory. */
export interface Diagnostic extends Problem {
  file: string
}

/** The path of a key in a file's content. */
export type Path = readonly (string | number)[]

/** The key of problems of a file as a whole, such as one that can't be read. */
export const FILE_KEY = 'file'
/** The key of problems that the HCL parser found. */
export const SYNTAX_KEY = 'syntax'
/** The key of problems of a workflow's code. */
export const CODE_KEY = 'code'

/** Makes a problem. */
export function problem(at: Position, key: string | Path, message: string, permitted: readonly string[] = []): Problem {
  const { line, column } = at
  return { line, column, key: typeof key === 'string' ? key : keyText(key), message, permitted: [...permitted] }
}

/** The text of a path: `constraint[1].period`, `detector.sick.target`, `command["a.b"].argv[0]`. */
export function keyText(path: Path): string {
  const text = path.map((step) =>
    typeof step === 'number' ? `[${step}]` : /^[A-Za-z_][\w-]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`,
  )
  return text.join('').replace(/^\./, '') || FILE_KEY
}

/** Orders problems by position. */
export function byPosition(a: Position, b: Position): number {
  return a.line - b.line || a.column - b.column
}
