/** Whether the commands that blocks of worker.hcl name are there, and fit. */
import type { CommandConfig, WorkerConfig, workerSchema } from '../../shared/config.ts'
import { type Diagnostic, type Path, problem } from './hcl/diagnostic.ts'
import { didYouMean } from './hcl/suggest.ts'
import type { LoadedFile } from './load-file.ts'

/** A reference to a command, and the parameters it passes. */
interface Use {
  path: Path
  command: string
  /** The parameters that it will be given. */
  params: readonly string[]
  readOnly: boolean
}

/** What a worker.hcl and that of an overlay have in common: an overlay describes no node. */
type WorkerBlocks = Omit<WorkerConfig, 'node' | 'datacenter'>

/** A worker.hcl, or that of an overlay. */
export type WorkerFile = Pick<LoadedFile<typeof workerSchema>, 'file' | 'places'> & {
  content: { output: WorkerBlocks } | null
}

/** Errors in the references. */
export function commandErrors({ file, content, places }: WorkerFile): Diagnostic[] {
  if (content === null) return []
  const { command: commands } = content.output
  const known = Object.keys(commands)
  return usesOf(content.output).flatMap((use) => {
    const message = misfit(use, commands, known)
    return message === null ? [] : [{ file, ...problem(places.value(use.path), use.path, message, known) }]
  })
}

/** The commands that blocks name. */
export function usesOf({ diagnostics, load_balancer, repository }: WorkerBlocks): Use[] {
  const list = (path: Path, commands: readonly string[], readOnly: boolean): Use[] =>
    commands.map((command, index) => ({ path: [...path, index], command, params: [], readOnly }))
  return [
    ...list(['diagnostics', 'commands'], diagnostics?.commands ?? [], true),
    ...Object.entries(repository).flatMap(([name, { tests }]) => list(['repository', name, 'tests'], tests, false)),
    ...Object.entries(load_balancer).flatMap(([name, { command }]) =>
      Object.entries(command ?? {}).map(([verb, used]) => ({
        path: ['load_balancer', name, 'command', verb],
        command: used,
        params: verb === 'list' ? [] : ['server'],
        // What only looks may be asked for without a permit.
        readOnly: verb === 'list',
      })),
    ),
  ]
}

function misfit(use: Use, commands: Record<string, CommandConfig>, known: readonly string[]): string | null {
  const command = Object.hasOwn(commands, use.command) ? commands[use.command] : undefined
  if (command === undefined) return `no such command${didYouMean(use.command, known)}`
  if (use.readOnly && !command.read_only) return `command ${use.command} is not read_only`
  const params = Object.keys(command.params)
  if (params.sort().join() === use.params.join()) return null
  const required = use.params.length === 0 ? 'no parameters' : `the parameter ${use.params.join()} only`
  return `command ${use.command} must have ${required}`
}
