import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildFailure, BuildOptions } from 'esbuild'
import { CODE_KEY, type Diagnostic, type Position, problem } from './hcl/diagnostic.ts'

/** Where a workflow's code is, and if nowhere, why. */
export type WorkflowCode = { code: string; warnings: [] } | { code: null; warnings: Diagnostic[] }

const LIBRARY = fileURLToPath(new URL('../../workflows/', import.meta.url))

/**
 * Finds the file that exports a workflow's function: the project's own `workflows/<name>.ts`, or else the built-in
 * library's. A file of the project's own is never passed over: what its author wrote is meant.
 *
 * @param at where the workflow's HCL file names the function
 */
export async function findCode(dir: string, name: string, workflowType: string, at: Position): Promise<WorkflowCode> {
  const own = join('workflows', `${name}.ts`)
  const hcl = join('workflows', `${name}.hcl`)
  const warn = (message: string): WorkflowCode => ({
    code: null,
    warnings: [{ file: hcl, ...problem(at, 'workflow_type', message) }],
  })
  const found = (await isFile(join(dir, own))) ? join(dir, own) : join(LIBRARY, `${name}.ts`)
  if (!(await isFile(found))) return warn(`no code: there is no ${own}, and no built-in workflow of this name`)
  const shown = found === join(dir, own) ? own : `the built-in ${name}.ts`
  const exported = await exportsOf(found)
  if ('warning' in exported) return { code: null, warnings: [{ file: own, ...exported.warning }] }
  if (exported.names.includes(workflowType)) return { code: found, warnings: [] }
  const names = exported.names.join(', ') || 'nothing'
  return warn(`no code: ${shown} exports no function ${workflowType} (it exports ${names})`)
}

type Exports = { names: string[] } | { warning: ReturnType<typeof problem> }

async function exportsOf(file: string): Promise<Exports> {
  const { buildSync } = await import('esbuild')
  // Only a bundle shows what `export *` passes on; other files' errors are not reported here.
  const bundle = /export\s*\*/.test(await readFile(file, 'utf8'))
  const options = { entryPoints: [file], bundle, write: false, metafile: true, format: 'esm' } satisfies BuildOptions
  try {
    // Not the other way, which leaves a process behind.
    const { metafile } = buildSync({ ...options, logLevel: 'silent', ...(bundle && { packages: 'external' }) })
    return { names: Object.values(metafile.outputs).flatMap((output) => output.exports) }
  } catch (error) {
    const [first] = (error as Partial<BuildFailure>).errors ?? []
    const place = { line: first?.location?.line ?? 1, column: (first?.location?.column ?? 0) + 1 }
    return { warning: problem(place, CODE_KEY, first?.text ?? String(error)) }
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
