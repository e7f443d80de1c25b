import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join, parse, relative, resolve } from 'node:path'
import canonicalize from 'canonicalize'
import {
  type CommandConfig,
  CONFIG_VERSION,
  type ConfigDocument,
  type CoordinatorConfig,
  coordinatorSchema,
  type DetectorConfig,
  defaultWorkflowType,
  detectorsSchema,
  documentSchema,
  type WorkerConfig,
  type WorkflowConfig,
  workerSchema,
  workflowSchema,
} from '../../shared/config.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { type Diagnostic, FILE_KEY, type Path, problem } from './diagnostic.ts'
import { detectorWarnings } from './links.ts'
import { inFile, type LoadedFile, loadFile } from './load-file.ts'
import { suggest } from './suggest.ts'
import { findCode } from './workflow-code.ts'

/** A project that is fit to run. */
export interface Project {
  /** Absolute. */
  dir: string
  coordinator: CoordinatorConfig
  /** What the coordinator is given. */
  document: ConfigDocument
  /** worker.hcl, if there is one. */
  worker: WorkerConfig | null
  /** The commands of worker.hcl and of the overlays. */
  commands: Record<string, CommandConfig>
  /** The detectors of detectors.hcl and of the overlays; the text in `target` and `input` are templates. */
  detectors: Record<string, DetectorConfig>
  workflows: Record<string, ProjectWorkflow>
}

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

/** A project as read, with what is wrong with it; `project` is null when there are errors. */
export interface LoadedProject {
  /** Absolute. */
  dir: string
  errors: Diagnostic[]
  warnings: Diagnostic[]
  project: Project | null
}

export interface LoadOptions {
  /** Whether `resile dev` or the like asks: then a missing `server_config` lets every caller pass. */
  development: boolean
  /** Directories whose worker.hcl commands and detectors.hcl detectors are added. */
  overlays?: readonly string[]
}

const TOP = { line: 1, column: 1 }
const FILES = ['coordinator.hcl', 'detectors.hcl', 'worker.hcl']
/** An overlay's worker.hcl only adds commands: whose they are stands in the project's. */
const overlayWorkerSchema = workerSchema.partial({ node: true, datacenter: true })

/**
 * Reads and checks a project: `coordinator.hcl`, and if they are there `worker.hcl`, `detectors.hcl` and
 * `workflows/*.hcl`. All mistakes of all files are in `errors`; what would run, but not as meant, is in `warnings`.
 * Never rejects on account of a file.
 */
export async function loadProject(directory: string, options: LoadOptions): Promise<LoadedProject> {
  const dir = resolve(directory)
  const listing = await list(dir)
  if (listing === null) {
    const errors = inFile('.', [problem(TOP, FILE_KEY, `is no directory that can be read: ${dir}`)])
    return { dir, errors, warnings: [], project: null }
  }
  const [coordinator, worker, detectors, workflows, overlays] = await Promise.all([
    loadFile(join(dir, 'coordinator.hcl'), 'coordinator.hcl', coordinatorSchema, 'coordinator', true),
    loadFile(join(dir, 'worker.hcl'), 'worker.hcl', workerSchema, 'worker', false),
    loadFile(join(dir, 'detectors.hcl'), 'detectors.hcl', detectorsSchema, 'detectors', false),
    loadWorkflows(dir),
    Promise.all((options.overlays ?? []).map((overlay) => loadOverlay(dir, resolve(overlay)))),
  ])
  const document = compileDocument(coordinator, workflows.loaded, options.development)
  const commands = merge('command', [worker, ...overlays.map((overlay) => overlay.worker)], (content) => content.command)
  const detecting = [detectors, ...overlays.map((overlay) => overlay.detectors)]
  const merged = merge('detector', detecting, (content) => content.detector)
  const errors = [
    ...[coordinator, ...detecting, worker].flatMap((file) => file.problems),
    ...overlays.flatMap((overlay) => [...overlay.problems, ...overlay.worker.problems]),
    ...commands.clashes,
    ...merged.clashes,
    ...workflows.problems,
    ...document.problems,
  ]
  const warnings = [
    ...strayFiles(listing),
    ...detecting.flatMap((file) => warningsOf(file, workflows.loaded)),
    ...workflows.warnings,
  ]
  if (errors.length > 0 || coordinator.content === null || document.document === null) {
    return { dir, errors, warnings, project: null }
  }
  const project: Project = {
    dir,
    coordinator: coordinator.content.output,
    document: document.document,
    worker: worker.content?.output ?? null,
    commands: commands.entries,
    detectors: merged.entries,
    workflows: workflows.found,
  }
  return { dir, errors, warnings, project }
}

type WorkflowFile = LoadedFile<typeof workflowSchema>

interface Workflows {
  loaded: ReadonlyMap<string, WorkflowFile>
  found: Record<string, ProjectWorkflow>
  problems: Diagnostic[]
  warnings: Diagnostic[]
}

async function loadWorkflows(dir: string): Promise<Workflows> {
  const entries = (await list(join(dir, 'workflows'))) ?? []
  const files = entries.filter((file) => file.endsWith('.hcl') && !file.startsWith('.')).map((file) => join('workflows', file))
  const result: Workflows = { loaded: new Map(), found: {}, problems: [], warnings: [] }
  const loaded = new Map<string, WorkflowFile>()
  await Promise.all(files.map(async (file) => loaded.set(file, await loadFile(join(dir, file), file, workflowSchema, 'workflow', true))))
  result.loaded = new Map(files.flatMap((file) => {
    const found = loaded.get(file)
    return found ? [[parse(file).name, found] as const] : []
  }))
  for (const [name, { file, problems, content, places }] of result.loaded) {
    result.problems.push(...problems)
    if (!isName(name)) result.problems.push({ file, ...problem(TOP, FILE_KEY, `its stem is not a name: ${NAME_RULE}`) })
    if (content === null || !isName(name)) continue
    const config = content.output
    const workflowType = config.workflow_type ?? defaultWorkflowType(name)
    if (!/^[A-Za-z_$]/.test(workflowType)) {
      const message = `is required: no function can have the default name ${workflowType}`
      result.problems.push({ file, ...problem(TOP, ['workflow_type'], message) })
      continue
    }
    const { code, warnings } = await findCode(dir, name, workflowType, places.key(['workflow_type']))
    result.warnings.push(...warnings)
    result.found[name] = { config, workflowType, file, code }
  }
  return result
}

async function loadOverlay(dir: string, overlay: string) {
  const file = (name: string) => relative(dir, join(overlay, name))
  const [found, worker, detectors] = await Promise.all([
    list(overlay),
    loadFile(join(overlay, 'worker.hcl'), file('worker.hcl'), overlayWorkerSchema, 'worker', false),
    loadFile(join(overlay, 'detectors.hcl'), file('detectors.hcl'), detectorsSchema, 'detectors', false),
  ])
  const problems = found === null ? inFile(file('.'), [problem(TOP, FILE_KEY, 'is no directory that can be read')]) : []
  return { worker, detectors, problems }
}

/** Puts what several files define into one record; a name that two of them define is a problem of the second. */
function merge<File extends Pick<LoadedFile<never>, 'file' | 'places'> & { content: { output: unknown } | null }, Entry>(
  block: string,
  files: readonly File[],
  entriesOf: (content: NonNullable<File['content']>['output']) => Record<string, Entry>,
): { entries: Record<string, Entry>; clashes: Diagnostic[] } {
  const entries: Record<string, Entry> = {}
  const owners = new Map<string, string>()
  const clashes: Diagnostic[] = []
  for (const { file, content, places } of files) {
    for (const [name, entry] of Object.entries(content === null ? {} : entriesOf(content.output))) {
      const path = [block, name]
      const owner = owners.get(name)
      if (owner !== undefined) clashes.push({ file, ...problem(places.key(path), path, `is defined already, in ${owner}`) })
      else entries[name] = entry
      owners.set(name, owner ?? file)
    }
  }
  return { entries, clashes }
}

/** The document of all files that are right by themselves, and what is wrong with them together. */
function compileDocument(
  coordinator: LoadedFile<typeof coordinatorSchema>,
  workflows: ReadonlyMap<string, WorkflowFile>,
  development: boolean,
): { document: ConfigDocument | null; problems: Diagnostic[] } {
  if (coordinator.content === null) return { document: null, problems: [] }
  const sound = [...workflows].flatMap(([name, { content }]) => (content && isName(name) ? [[name, content.input] as const] : []))
  const parts = {
    version: CONFIG_VERSION,
    development,
    coordinator: coordinator.content.input,
    workflows: Object.fromEntries(sound),
  }
  const canonical = canonicalize(parts) ?? ''
  const hash = createHash('sha256').update(canonical).digest('hex').slice(0, 16)
  const document: ConfigDocument = { ...parts, hash }
  const issues = documentSchema.safeParse(document).error?.issues ?? []
  const problems = issues.map(({ path, message }): Diagnostic => {
    const [part, name, ...rest] = path.map((step) => (typeof step === 'number' ? step : String(step)))
    const workflow = part === 'workflows' ? workflows.get(String(name)) : undefined
    const key: Path = workflow ? rest : [name ?? '', ...rest]
    const { file, places } = workflow ?? coordinator
    return { file, ...problem(places.value(key), key, message) }
  })
  return { document, problems }
}

function warningsOf(file: LoadedFile<typeof detectorsSchema>, workflows: ReadonlyMap<string, WorkflowFile>): Diagnostic[] {
  const sound = [...workflows].flatMap(([name, { content }]) => (content ? [[name, content.output] as const] : []))
  return Object.entries(file.content?.output.detector ?? {}).flatMap(([name, detector]) =>
    detectorWarnings(name, detector, Object.fromEntries(sound), [...workflows.keys()], file.file, file.places),
  )
}

/** A misspelt file name would silently leave out all that the file says. */
function strayFiles(listing: readonly string[]): Diagnostic[] {
  const stray = listing.filter((file) => file.endsWith('.hcl') && !file.startsWith('.') && !FILES.includes(file))
  return stray.map((file) => {
    const meant = suggest(file, FILES)
    const message = `is not read${meant === null ? '' : `; did you mean ${meant}?`}`
    return { file, ...problem(TOP, FILE_KEY, message, [...FILES, 'workflows/<name>.hcl']) }
  })
}

/** The names in a directory, sorted, or null when it can't be read. */
async function list(directory: string): Promise<string[] | null> {
  return readdir(directory).then((names) => names.sort(), () => null)
}
