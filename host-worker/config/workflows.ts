import { join, parse } from 'node:path'
import { defaultWorkflowType, type WorkflowConfig, workflowSchema } from '../../shared/config.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { list } from './directory.ts'
import { type Diagnostic, FILE_KEY, problem } from './hcl/diagnostic.ts'
import { type LoadedFile, loadFile } from './load-file.ts'
import { findCode } from './workflow-code.ts'

/** One workflow of a project. */
export interface ProjectWorkflow {
  config: WorkflowConfig
  /** The name of the function that is its code. */
  workflowType: string
  /** Its HCL file, relative to the project's directory. */
  file: string
  /** The absolute path of its code; null, with a warning, when that is nowhere. */
  code: string | null
}

/** A workflow's HCL file. */
export type WorkflowFile = LoadedFile<typeof workflowSchema>

/** The workflows of a project, with what is wrong with them. */
export interface Workflows {
  /** All files whose stem is a name, also those with problems. */
  files: ReadonlyMap<string, WorkflowFile>
  /** Those that are right. */
  found: Record<string, ProjectWorkflow>
  problems: Diagnostic[]
  warnings: Diagnostic[]
}

const TOP = { line: 1, column: 1 }

/** Reads `workflows/*.hcl` and finds their code. */
export async function loadWorkflows(dir: string): Promise<Workflows> {
  const files = new Map<string, WorkflowFile>()
  const workflows: Workflows = { files, found: {}, problems: [], warnings: [] }
  const listing = await list(join(dir, 'workflows'))
  if (listing === 'ENOENT') return workflows
  if (typeof listing === 'string') {
    workflows.problems.push({ file: 'workflows', ...problem(TOP, FILE_KEY, `can't be read: ${listing}`) })
    return workflows
  }
  // Hidden files are left behind by editors and file managers.
  for (const entry of listing.filter((name) => name.endsWith('.hcl') && !name.startsWith('.'))) {
    const file = join('workflows', entry)
    const name = parse(entry).name
    const loaded = await loadFile(join(dir, file), file, workflowSchema, 'workflow', true)
    workflows.problems.push(...loaded.problems)
    if (isName(name)) files.set(name, loaded)
    else workflows.problems.push({ file, ...problem(TOP, FILE_KEY, `its stem is not a name: ${NAME_RULE}`) })
    if (isName(name) && loaded.content !== null) await addWorkflow(workflows, dir, name, loaded, loaded.content.output)
  }
  return workflows
}

async function addWorkflow(
  into: Workflows,
  dir: string,
  name: string,
  { file, places }: WorkflowFile,
  config: WorkflowConfig,
): Promise<void> {
  const workflowType = config.workflow_type ?? defaultWorkflowType(name)
  if (!/^[A-Za-z_$]/.test(workflowType)) {
    const message = `is required: no function can have the default name ${workflowType}`
    into.problems.push({ file, ...problem(TOP, 'workflow_type', message) })
    return
  }
  const { code, warnings } = await findCode(dir, name, workflowType, places.key(['workflow_type']))
  into.warnings.push(...warnings)
  // A worker registers one function under a type; which of the two it would be must not be left to chance.
  const twin = Object.values(into.found).find((other) => other.code !== null && other.workflowType === workflowType)
  if (code !== null && twin !== undefined) {
    const message = `${workflowType} is already the type of ${twin.file}, which has other code`
    into.problems.push({ file, ...problem(places.key(['workflow_type']), 'workflow_type', message) })
    return
  }
  into.found[name] = { config, workflowType, file, code }
}
