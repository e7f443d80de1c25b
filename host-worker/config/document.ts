import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import {
  CONFIG_VERSION,
  type ConfigDocument,
  type coordinatorSchema,
  type detectorsSchema,
  documentSchema,
  isPushed,
} from '../../shared/config.ts'
import { type Diagnostic, type Path, problem } from './hcl/diagnostic.ts'
import type { LoadedFile } from './load-file.ts'
import type { WorkflowFile } from './workflows.ts'

/**
 * The document that the coordinator is given, of all files that are right by themselves, and what is wrong with them
 * together. It holds what the files say, without defaults: the coordinator reads it with the same schema.
 *
 * @returns no document when coordinator.hcl has problems
 */
export function compileDocument(
  coordinator: LoadedFile<typeof coordinatorSchema>,
  workflows: ReadonlyMap<string, WorkflowFile>,
  detecting: readonly LoadedFile<typeof detectorsSchema>[],
  development: boolean,
): { document: ConfigDocument | null; problems: Diagnostic[] } {
  if (coordinator.content === null) return { document: null, problems: [] }
  const sound = [...workflows].flatMap(([name, { content }]) => (content ? [[name, content.input] as const] : []))
  const parts = {
    version: CONFIG_VERSION,
    development,
    coordinator: coordinator.content.input,
    workflows: Object.fromEntries(sound),
    detectors: Object.fromEntries(
      detecting.flatMap(({ content }) =>
        Object.entries(content?.input.detector ?? {}).filter(([, detector]) => isPushed(detector)),
      ),
    ),
  } satisfies Omit<ConfigDocument, 'hash'>
  const document = { ...parts, hash: hashOf(parts) }
  const issues = documentSchema.safeParse(document).error?.issues ?? []
  const problems = issues.map(({ path, message }): Diagnostic => {
    const [part, name, ...rest] = path.map((step) => (typeof step === 'number' ? step : String(step)))
    const workflow = part === 'workflows' ? workflows.get(String(name)) : undefined
    const { file, places } = workflow ?? coordinator
    const key: Path = workflow ? rest : [name ?? '', ...rest]
    return { file, ...problem(places.value(key), key, message) }
  })
  return { document, problems }
}

/** Names content: the same for the same JSON, in whatever order of keys. */
function hashOf(content: unknown): string {
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex')
    .slice(0, 16)
}
