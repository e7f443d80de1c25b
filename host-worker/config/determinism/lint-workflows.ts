/** Finds what is not deterministic in the code of a project's workflows. */
import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { CODE_KEY, type Diagnostic, FILE_KEY, problem } from '../hcl/diagnostic.ts'
import { Source } from '../hcl/source.ts'
import { lintSource } from './lint-source.ts'

/**
 * Lints files and what they import by relative paths, as far as it is in the project.
 *
 * @param dir the project's directory, absolute
 * @param files absolute
 * @returns by file, in the order of the findings
 */
export async function lintWorkflows(dir: string, files: readonly string[]): Promise<Diagnostic[]> {
  const found: Diagnostic[] = []
  const queue = [...new Set(files)]
  // The queue grows while it is gone through; a file that two import is judged once.
  for (const path of queue) {
    const { diagnostics, imported } = await lintFile(dir, path)
    found.push(...diagnostics)
    for (const next of imported) if (!queue.includes(next)) queue.push(next)
  }
  return found
}

async function lintFile(dir: string, path: string): Promise<{ diagnostics: Diagnostic[]; imported: string[] }> {
  const file = relative(dir, path)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error)
  if (typeof text !== 'string') {
    const message = `can't be read: ${text.code ?? text.message}`
    return { diagnostics: [{ file, ...problem({ line: 1, column: 1 }, FILE_KEY, message) }], imported: [] }
  }
  const source = new Source(text)
  const { findings, imports } = lintSource(path, source.text)
  const diagnostics = findings.map(({ offset, message }) => ({
    file,
    ...problem(source.position(offset), CODE_KEY, message),
  }))
  const resolved = await Promise.all(imports.filter(isRelative).map((specifier) => resolveImport(path, specifier)))
  return { diagnostics, imported: resolved.filter((next): next is string => next !== null && isWithin(dir, next)) }
}

function isRelative(specifier: string): boolean {
  return /^\.{1,2}(\/|$)/.test(specifier)
}

/** The file that the workflow's bundle would take; null when there is none, which the bundle then says. */
async function resolveImport(importer: string, specifier: string): Promise<string | null> {
  const path = join(dirname(importer), specifier)
  const asTypeScript = path.replace(/\.js$/, '.ts')
  for (const candidate of [asTypeScript, path, `${path}.ts`, `${path}.js`, join(path, 'index.ts')]) {
    if (await isFile(candidate)) return candidate
  }
  return null
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

function isWithin(dir: string, path: string): boolean {
  const inside = relative(dir, path)
  return !inside.startsWith('..') && !isAbsolute(inside) && !inside.split('/').includes('node_modules')
}
