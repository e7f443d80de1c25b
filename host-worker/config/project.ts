import { join, relative, resolve } from 'node:path'
import {
  type CommandConfig,
  type ConfigDocument,
  type CoordinatorConfig,
  coordinatorSchema,
  type DetectorConfig,
  datacentersOf,
  detectorsSchema,
  type WorkerConfig,
  workerSchema,
} from '../../shared/config.ts'
import { commandErrors } from './command-uses.ts'
import { commandWarnings } from './command-warnings.ts'
import { linkedWarnings, type ProjectFacts } from './detector-links.ts'
import { list } from './directory.ts'
import { compileDocument } from './document.ts'
import { type Diagnostic, FILE_KEY, problem } from './hcl/diagnostic.ts'
import { suggest } from './hcl/suggest.ts'
import { detectorWarnings, escalationErrors, journalWarnings } from './links.ts'
import { inFile, type LoadedFile, loadFile } from './load-file.ts'
import { scheduleErrors } from './schedules.ts'
import { loadWorkflows, type ProjectWorkflow, type WorkflowFile } from './workflows.ts'

/** A project that is fit to run. */
export interface Project {
  /** Absolute. */
  dir: string
  coordinator: CoordinatorConfig
  /** The coordinator's configuration. */
  document: ConfigDocument
  /** worker.hcl, if there is one. */
  worker: WorkerConfig | null
  /** The commands of worker.hcl and of the overlays. */
  commands: Record<string, CommandConfig>
  /** The detectors of detectors.hcl and of the overlays; the text in `target` and `input` are templates. */
  detectors: Record<string, DetectorConfig>
  workflows: Record<string, ProjectWorkflow>
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
  /** Whether a host asks: it needs its own files alone, and may lack coordinator.hcl and the workflows. */
  host?: boolean
}

const TOP = { line: 1, column: 1 }
const FILES = ['coordinator.hcl', 'detectors.hcl', 'worker.hcl']
const ELSEWHERE_HCL = { datacenter: 'elsewhere' }
/** Stands for coordinator.hcl on a host that has none: nothing of it is used there. */
const ELSEWHERE = { input: ELSEWHERE_HCL, output: coordinatorSchema.parse(ELSEWHERE_HCL) }
/** An overlay's worker.hcl only adds commands: the node is configured in the project's. */
const overlayWorkerSchema = workerSchema.partial({ node: true, datacenter: true })

/**
 * Reads and checks a project: `coordinator.hcl`, and if they are there `worker.hcl`, `detectors.hcl` and
 * `workflows/*.hcl`. All mistakes of all files are in `errors`; what would run, but not as meant, is in `warnings`.
 * Never rejects on account of a file.
 */
export async function loadProject(directory: string, options: LoadOptions): Promise<LoadedProject> {
  const dir = resolve(directory)
  const listing = await list(dir)
  if (typeof listing === 'string') {
    const errors = inFile('.', [problem(TOP, FILE_KEY, `${dir} can't be read: ${listing}`)])
    return { dir, errors, warnings: [], project: null }
  }
  const isHost = options.host === true
  const [found, worker, detectors, workflows, overlays] = await Promise.all([
    loadFile(join(dir, 'coordinator.hcl'), 'coordinator.hcl', coordinatorSchema, 'coordinator', !isHost),
    loadFile(join(dir, 'worker.hcl'), 'worker.hcl', workerSchema, 'worker', false),
    loadFile(join(dir, 'detectors.hcl'), 'detectors.hcl', detectorsSchema, 'detectors', false),
    loadWorkflows(dir),
    Promise.all((options.overlays ?? []).map((overlay) => loadOverlay(dir, resolve(overlay)))),
  ])
  const isElsewhere = isHost && found.content === null && found.problems.length === 0
  const coordinator = isElsewhere ? { ...found, content: ELSEWHERE } : found
  // On a host without the workflows nobody knows which there are.
  const knowsWorkflows = !isHost || workflows.files.size > 0
  const commands = merge(
    'command',
    [worker, ...overlays.map((overlay) => overlay.worker)],
    (content) => content.command,
  )
  const detecting = [detectors, ...overlays.map((overlay) => overlay.detectors)]
  const document = compileDocument(coordinator, workflows.files, detecting, options.development)
  const merged = merge('detector', detecting, (content) => content.detector)
  const errors = [
    ...[coordinator, ...detecting, worker].flatMap((file) => file.problems),
    ...overlays.flatMap((overlay) => [...overlay.problems, ...overlay.worker.problems]),
    ...commands.clashes,
    ...commandErrors(worker),
    ...merged.clashes,
    ...detecting.flatMap(scheduleErrors),
    ...workflows.problems,
    ...(isElsewhere ? [] : document.problems),
    // While its own file has mistakes it isn't known who there is.
    ...(coordinator.content === null || isElsewhere
      ? []
      : wrongEscalations(workflows.files, coordinator.content.output)),
  ]
  const warnings = [
    ...strayFiles(listing),
    ...(knowsWorkflows
      ? linkWarnings([worker, ...overlays.map((one) => one.worker)], detecting, workflows.files, {
          datacenters: isElsewhere || coordinator.content === null ? null : datacentersOf(coordinator.content.output),
          commands: worker.content === null ? null : Object.keys(commands.entries),
        })
      : []),
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

async function loadOverlay(dir: string, overlay: string) {
  const file = (name: string) => relative(dir, join(overlay, name))
  const [found, worker, detectors] = await Promise.all([
    list(overlay),
    loadFile(join(overlay, 'worker.hcl'), file('worker.hcl'), overlayWorkerSchema, 'worker', false),
    loadFile(join(overlay, 'detectors.hcl'), file('detectors.hcl'), detectorsSchema, 'detectors', false),
  ])
  const problems =
    typeof found === 'string' ? inFile(file('.'), [problem(TOP, FILE_KEY, `can't be read: ${found}`)]) : []
  return { worker, detectors, problems }
}

/** Puts what several files define into one record; a name that two of them define is a problem of the second. */
function merge<
  File extends Pick<LoadedFile<never>, 'file' | 'places'> & { content: { output: unknown } | null },
  Entry,
>(
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
      if (owner !== undefined)
        clashes.push({ file, ...problem(places.key(path), path, `is defined already, in ${owner}`) })
      else entries[name] = entry
      owners.set(name, owner ?? file)
    }
  }
  return { entries, clashes }
}

/** What commands and detectors say of workflows that is not so. */
function linkWarnings(
  workers: readonly Parameters<typeof commandWarnings>[0][],
  detecting: readonly LoadedFile<typeof detectorsSchema>[],
  workflows: ReadonlyMap<string, WorkflowFile>,
  known: Omit<ProjectFacts, 'workflow'>,
): Diagnostic[] {
  return [
    ...workers.flatMap((file) => commandWarnings(file, [...workflows.keys()])),
    ...detecting.flatMap((file) => warningsOf(file, workflows, known)),
  ]
}

function warningsOf(
  file: LoadedFile<typeof detectorsSchema>,
  workflows: ReadonlyMap<string, WorkflowFile>,
  known: Omit<ProjectFacts, 'workflow'>,
): Diagnostic[] {
  const sound = [...workflows].flatMap(([name, { content }]) => (content ? [[name, content.output] as const] : []))
  return Object.entries(file.content?.output.detector ?? {}).flatMap(([name, detector]) => [
    ...detectorWarnings(name, detector, Object.fromEntries(sound), [...workflows.keys()], file.file, file.places),
    ...journalWarnings(name, detector, file.file, file.places),
    ...sound
      .filter(([workflow]) => workflow === detector.workflow)
      .flatMap(([, workflow]) => linkedWarnings(name, detector, { ...known, workflow }, file.file, file.places)),
  ])
}

function wrongEscalations(workflows: ReadonlyMap<string, WorkflowFile>, { receiver }: CoordinatorConfig): Diagnostic[] {
  return [...workflows.values()].flatMap((file) => escalationErrors(file, Object.keys(receiver)))
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
