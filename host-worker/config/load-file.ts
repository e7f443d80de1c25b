import type { z } from 'zod'
import { compile, Places } from './hcl/compile.ts'
import { byPosition, type Diagnostic, FILE_KEY, type Problem, problem } from './hcl/diagnostic.ts'
import { fileForm } from './hcl/form.ts'
import { parseHcl } from './hcl/parse.ts'
import { MAX_BYTES, MAX_BYTES_OF_MANY, readSource, type Source } from './hcl/source.ts'
import { problemsOf } from './hcl/validate.ts'

/** A configuration file: what it says, if nothing is wrong with it, and where. */
export interface LoadedFile<S extends z.ZodObject> {
  /** Relative to the project's directory. */
  file: string
  problems: Diagnostic[]
  /** The file as plain JSON, and as its schema understands it; null if it is not there or has problems. */
  content: { input: z.input<S>; output: z.output<S> } | null
  places: Places
}

/**
 * Reads a configuration file and checks it against its schema; all its mistakes are in `problems`.
 *
 * @param kind the name of the file's kind, see {@link compile}
 * @param required whether it is a problem that there is no such file
 */
export async function loadFile<S extends z.ZodObject>(
  path: string,
  file: string,
  schema: S,
  kind: string,
  required: boolean,
): Promise<LoadedFile<S>> {
  const source = await readSource(path, kind === 'detectors' ? MAX_BYTES_OF_MANY : MAX_BYTES)
  if (source !== null && 'text' in source) return { file, ...(await check(source, file, schema, kind)) }
  const found =
    source ?? (required ? problem({ line: 1, column: 1 }, FILE_KEY, 'is required, but does not exist') : null)
  return { file, problems: found === null ? [] : inFile(file, [found]), content: null, places: new Places() }
}

/** Puts the name of their file to problems. */
export function inFile(file: string, problems: readonly Problem[]): Diagnostic[] {
  return problems.map((problem) => ({ file, ...problem }))
}

async function check<S extends z.ZodObject>(source: Source, file: string, schema: S, kind: string) {
  const { body, problems: syntax } = parseHcl(source)
  if (body === null) return { problems: inFile(file, syntax), content: null, places: new Places() }
  const form = fileForm(schema)
  const compiled = compile(body, form, kind)
  const result = schema.safeParse(compiled.json)
  const issues = result.success ? [] : result.error.issues
  const checked = { ...compiled, complete: syntax.length === 0 }
  const problems = [...syntax, ...compiled.problems, ...problemsOf(issues, checked)].sort(byPosition)
  // It was just parsed as such.
  const input = compiled.json as z.input<S>
  const content = result.success && problems.length === 0 ? { input, output: result.data } : null
  return { problems: inFile(file, problems), content, places: compiled.places }
}
